# SPDX-License-Identifier: MIT
"""One thread that serves the UDP sockets and the timers of all phones of a test.

What phones know changes in that thread only, under `changed`; a test waits for it with wait().
"""

import collections
import contextlib
import heapq
import itertools
import os
import selectors
import socket
import threading
import time
import traceback

import sip


class Network:
    def __init__(self):
        self.changed = threading.Condition(threading.RLock())
        self.selector = selectors.DefaultSelector()
        self.timers, self.order, self.jobs = [], itertools.count(), collections.deque()
        self.problems = []  # what no SIP element may send; a test fails with them
        self.running = True
        self.bell, self.rope = os.pipe()
        os.set_blocking(self.bell, False)
        self.selector.register(self.bell, selectors.EVENT_READ, None)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def open(self, receive, port=0):
        """A socket whose datagrams go to receive(data, address)."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind(("127.0.0.1", port))
        sock.setblocking(False)

        def watch():
            if sock.fileno() >= 0:  # not closed again meanwhile
                self.selector.register(sock, selectors.EVENT_READ, receive)

        self.do(watch)
        return sock

    def close(self, sock):
        """No datagram is received afterwards."""
        with self.changed:
            with contextlib.suppress(KeyError):
                self.selector.unregister(sock)
            sock.close()

    def do(self, job):
        """Runs job in the network's thread, soon, or at once when called from there."""
        if threading.current_thread() is self.thread:
            job()
            return
        self.jobs.append(job)
        os.write(self.rope, b"!")

    def later(self, delay_s, job):
        """Runs job after the delay; the answer cancels it. For the network's thread."""
        timer = [time.monotonic() + delay_s, next(self.order), job]
        heapq.heappush(self.timers, timer)

        def cancel():
            timer[2] = None

        return cancel

    def wait(self, condition, deadline_s, what):
        """Waits until the condition, asked after every change, is true; returns its value."""
        end = time.monotonic() + deadline_s
        with self.changed:
            while not (value := condition()):
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(
                        f"not within {deadline_s} s: {what() if callable(what) else what}")
                self.changed.wait(left)
            return value

    def notify(self):
        with self.changed:
            self.changed.notify_all()

    def blame(self, text):
        with self.changed:
            self.problems.append(text)

    def stop(self):
        self.running = False
        os.write(self.rope, b"!")
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            if key.data:
                key.fileobj.close()
        self.selector.close()
        os.close(self.bell)
        os.close(self.rope)

    # ---- the network's thread ----

    def _serve(self):
        while self.running:
            ready = self.selector.select(self._until_next())
            with self.changed:
                self._run_jobs()
                for key, _ in ready:
                    self._receive(key.fileobj, key.data)
                self._run_timers()
                self.changed.notify_all()

    def _until_next(self):
        if self.jobs:
            return 0
        return max(self.timers[0][0] - time.monotonic(), 0) if self.timers else None

    def _guarded(self, job, *args):
        try:
            job(*args)
        except sip.Malformed as fault:
            self.problems.append(f"malformed: {fault}")
        except Exception:
            self.problems.append(traceback.format_exc())

    def _run_jobs(self):
        with contextlib.suppress(BlockingIOError):
            os.read(self.bell, 4096)
        while self.jobs:
            self._guarded(self.jobs.popleft())

    def _receive(self, sock, receive):
        if receive is None or sock.fileno() < 0:
            return
        # A socket without readers fills up; what is there is read, in order.
        while True:
            try:
                data, address = sock.recvfrom(65536)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                return  # closed by what was received
            self._guarded(receive, data, address)

    def _run_timers(self):
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            job = heapq.heappop(self.timers)[2]
            if job:
                self._guarded(job)
