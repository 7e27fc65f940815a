/* loop.h: what a mode of loop.c does with one notification. */
#ifndef LOOP_H
#define LOOP_H

#include <linux/seccomp.h>

/* Answers one notification: fills in the response. */
typedef void (*perform_fn)(int listener, const struct seccomp_notif *notice, struct seccomp_notif_resp *response);

void answer_zero(int listener, const struct seccomp_notif *notice, struct seccomp_notif_resp *response);
void answer_continue(int listener, const struct seccomp_notif *notice, struct seccomp_notif_resp *response);
void perform_mknod(int listener, const struct seccomp_notif *notice, struct seccomp_notif_resp *response);
void perform_sysinfo(int listener, const struct seccomp_notif *notice, struct seccomp_notif_resp *response);

/* Once, before the first notification, for the modes that act in a caller's place. */
void prepare_identity(void);

#endif
