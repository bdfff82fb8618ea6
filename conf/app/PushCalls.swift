// SPDX-License-Identifier: MIT
// From a push to a call: what an app does with pbxpush, to start from. "Rules for the app" in the
// README has the reasons. Swift 5, all on the main queue. Our tests do not build Swift: Xcode does.
import CallKit
import PushKit

protocol SIPStack { // what yours has to offer
    func setVoIPToken(_ token: String)        // into the Contact, and REGISTER anew if it has changed
    func register(done: @escaping () -> Void) // REGISTER now; done: it got its 200
    func answer(_ uuid: UUID)                 // now, or as soon as its INVITE is there
    func decline(_ uuid: UUID)                // the same, with 486: the user's other phones ring on
}

/// Make one at every launch, in the background too: a push may be what launched the app.
final class PushCalls: NSObject, PKPushRegistryDelegate, CXProviderDelegate {
    private let sip: SIPStack, registry = PKPushRegistry(queue: .main)
    private let provider = CXProvider(configuration: CXProviderConfiguration())
    private var invited: [UUID: Bool] = [:] // the calls on the screen; true: the INVITE is there

    init(sip: SIPStack) {
        self.sip = sip
        super.init()
        provider.setDelegate(self, queue: .main)
        registry.delegate = self
        registry.desiredPushTypes = [.voIP]
    }

    func pushRegistry(_: PKPushRegistry, didUpdate credentials: PKPushCredentials, for _: PKPushType) {
        sip.setVoIPToken(credentials.token.map { String(format: "%02x", $0) }.joined())
    }

    func pushRegistry(_: PKPushRegistry, didReceiveIncomingPushWith payload: PKPushPayload,
                      for _: PKPushType, completion: @escaping () -> Void) {
        received(payload.dictionaryPayload, mustReport: true, completion)
    }

    @available(iOS 26.4, *) // iOS prefers it to the one above
    func pushRegistry(_: PKPushRegistry, didReceiveIncomingVoIPPushWith payload: PKPushPayload,
                      metadata: PKVoIPPushMetadata, withCompletionHandler done: @escaping () -> Void) {
        received(payload.dictionaryPayload, mustReport: metadata.mustReport, done)
    }

    private func received(_ push: [AnyHashable: Any], mustReport: Bool, _ done: @escaping () -> Void) {
        let uuid = (push["uuid"] as? String).flatMap(UUID.init(uuidString:)) ?? UUID()
        let expires = (push["expires_ms"] as? NSNumber)?.doubleValue ?? 0
        let isLate = expires / 1000 <= Date().timeIntervalSince1970
        if isLate && !mustReport { return done() } // over, and iOS lets us be silent about it
        let caller = push["caller"] as? [String: Any], number = caller?["number"] as? String
        let update = CXCallUpdate()
        update.localizedCallerName = caller?["name"] as? String
        update.remoteHandle = number.map { CXHandle(type: .phoneNumber, value: $0) }
        update.hasVideo = push["video"] as? Bool ?? false
        invited[uuid] = invited[uuid] ?? false
        // Before all else, and before this returns: iOS ends an app that does not report.
        provider.reportNewIncomingCall(with: uuid, update: update) { error in
            let code = (error as? CXErrorCodeIncomingCallError)?.code
            if error != nil && code != .callUUIDAlreadyExists { // a Focus, or the phone's block list
                self.invited[uuid] = nil
                self.sip.decline(uuid)
            } // that code: the push came twice, or after the INVITE; the call is on the screen
            done()
        }
        if isLate { return over(uuid, .unanswered) }
        sip.register { // the PBX held the INVITE until now; without one there is no call any more
            DispatchQueue.main.asyncAfter(deadline: .now() + 5) {
                if self.invited[uuid] == false { self.over(uuid, .failed) }
            }
        }
    }

    // Your SIP stack calls these two; the README says which uuid and which reason.
    func isInvited(_ uuid: UUID) { invited[uuid] = true }
    func over(_ uuid: UUID, _ reason: CXCallEndedReason) { // CANCEL, BYE, X-Pbxpush-Call
        guard invited.removeValue(forKey: uuid) != nil else { return }
        provider.reportCall(with: uuid, endedAt: nil, reason: reason)
    }

    func provider(_: CXProvider, perform action: CXAnswerCallAction) {
        sip.answer(action.callUUID)
        action.fulfill()
    }
    func provider(_: CXProvider, perform action: CXEndCallAction) {
        invited[action.callUUID] = nil
        sip.decline(action.callUUID) // or BYE, once it was answered
        action.fulfill()
    }
    func providerDidReset(_: CXProvider) { invited.removeAll() }
}
