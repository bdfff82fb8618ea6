/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CTL_EXIT_CODE_H
#define PBXPUSH_CTL_EXIT_CODE_H

/* What pbxpushctl says to a dialplan (CONTRACT 6). 65 and 75 are sysexits(3)' data error and "try
 * later". */
enum exit_code {
	EXIT_GO_ON = 0,        /* verdict push or registered, or the command worked */
	EXIT_REJECT = 1,       /* verdict reject; `health`: not healthy */
	EXIT_USAGE = 2,        /* the command line is wrong; nothing was sent */
	EXIT_UNREACHABLE = 3,  /* verdict unreachable or ended */
	EXIT_REFUSED = 65,     /* the daemon answered, and it was no */
	EXIT_UNAVAILABLE = 75, /* no daemon, or none that answers in time: go on without push */
};

#endif
