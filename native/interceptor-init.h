/*
 * Shared declarations of interceptor-init: the plan as src/container/launch/native-plan.ts encodes it, the messages that
 * travel between Node, the outer process and PID 1, and the functions that each file offers to the others.
 */
#ifndef INTERCEPTOR_INIT_H
#define INTERCEPTOR_INIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Descriptors that Node hands over (stdio of child_process.spawn). */
enum { CONTROL_FD = 3, INIT_FD = 4, PLAN_FD = 5, JOIN_FD = 6 /* pidfd of the PID 1 to join */ };

/* In a launch, with PLAN_SPAWNER: where requests to start programs come from. */
enum { SPAWNER_FD = 6 };

/* In step with STAGES in src/container/launch/failure.ts; test/unit/container/native-protocol.test.ts compares them. */
enum stage {
	STAGE_PLAN,
	STAGE_MOUNT_NAMESPACE,
	STAGE_CLONE,
	STAGE_MAPPED,
	STAGE_SOURCE,
	STAGE_FLAGS,
	STAGE_IDMAP,
	STAGE_TARGET,
	STAGE_ATTACH,
	STAGE_FILE_SYSTEM,
	STAGE_CREATE,
	STAGE_IDENTITY,
	STAGE_NAMESPACES,
	STAGE_PIVOT,
	STAGE_HOSTNAME,
	STAGE_LOOPBACK,
	STAGE_DENY_FILTER,
	STAGE_COMMAND,
	STAGE_CREDENTIALS,
	STAGE_WORKDIR,
	STAGE_NOTIFY_FILTER,
	STAGE_SUPERVISION,
	STAGE_JOIN,
};

/* In step with MESSAGES in src/container/launch/channel.ts. */
enum message_type {
	MESSAGE_INNER = 1, /* outer to Node: a = pid */
	MESSAGE_MAPPED, /* Node to outer: the maps are written */
	MESSAGE_FAILED, /* to Node: a = stage, b = index of the file-system step, c = errno */
	MESSAGE_STAGED, /* outer to inner */
	MESSAGE_READY, /* init to Node: a = listener in init's table or -1 */
	MESSAGE_GO, /* Node to init: the listener has a supervisor */
	MESSAGE_SIGNAL, /* Node to init: a = signal for the command */
	MESSAGE_ASK, /* Node to outer: a = signal; did the whole process group get it? */
	MESSAGE_ANSWER, /* outer to Node: a = signal, b = 1 when it did */
	MESSAGE_STOPPED, /* init to Node: a = signal that stopped the command */
	MESSAGE_CONTINUE, /* Node to outer; outer to init with a = 1 in the foreground */
	MESSAGE_ENDED, /* init to Node: a = wait status, b = errno of execve, c = 1 when the file exists; a session to outer */
	MESSAGE_GONE, /* outer to Node: every process of the container is gone; a = wait status of init */
	MESSAGE_BYE, /* Node to outer: clean up and exit */
	MESSAGE_KILL, /* Node to outer: end the container now */
	MESSAGE_CONFIRM, /* Node to outer to init: is the command still stopped? to Node, with the same a: it is */
};

struct message {
	int32_t type;
	int32_t a;
	int32_t b;
	int32_t c;
};
_Static_assert(sizeof(struct message) == 16, "src/container/launch/channel.ts reads records of 16 bytes");

#define PLAN_MAGIC 0x31504e49u

enum plan_flags {
	PLAN_NETWORK_NONE = 1 << 0,
	PLAN_WAIT_KILLABLE = 1 << 1,
	PLAN_ROOTLESS = 1 << 2,
	PLAN_SPAWNER = 1 << 3,
};

enum record_kind {
	RECORD_ROOT = 1, /* source, identity of what it must be (DEV:INODE) or nothing */
	RECORD_BIND, /* source, target, identity as above */
	RECORD_MOUNT, /* type, target, then pairs of option and value */
	RECORD_DIRECTORY, /* target */
	RECORD_FILE, /* target */
	RECORD_SYMLINK, /* target, to */
	RECORD_SEAL, /* target */
	RECORD_STAGE, /* directory of the host that the new root is attached to in our own mount namespace */
	RECORD_HOSTNAME, /* number 1: the container must not start without it */
	RECORD_WORKDIR,
	RECORD_ENVIRONMENT,
	RECORD_ARGUMENT,
	RECORD_CANDIDATE, /* path to try for the command, in order */
	RECORD_REMOVE, /* file or empty directory of the host to remove at the end */
	RECORD_DENY_FILTER,
	RECORD_NOTIFY_FILTER,
	RECORD_NODE, /* target, device number, uid, gid of the owner; number = type and mode */
	RECORD_LIMIT,
};

enum record_flags {
	RECORD_IDMAP = 1 << 0,
	RECORD_RECURSIVE = 1 << 1,
	RECORD_INSIDE = 1 << 2, /* done by PID 1 in the container's own mount namespace */
};

struct plan {
	uint32_t magic;
	uint32_t size;
	uint32_t records;
	uint32_t flags;
	uint32_t uid;
	uint32_t gid;
	uint32_t root_uid; /* the container's root as our user namespace numbers it */
	uint32_t root_gid;
	uint64_t ignored_signals; /* bit n - 1 for signal n */
};
_Static_assert(sizeof(struct plan) == 40, "src/container/launch/native-plan.ts writes a header of 40 bytes");

struct record {
	uint16_t kind;
	uint16_t flags;
	uint32_t length; /* of the bytes that follow; the next record starts at a multiple of 8 */
	uint32_t number; /* mode, or MOUNT_ATTR_* */
	uint32_t step; /* index in LaunchPlan.filesystem, for reports */
};
_Static_assert(sizeof(struct record) == 16, "src/container/launch/native-plan.ts writes records of 16 bytes");

/* Between PID 1 and the child that becomes the command: plain memory, because system calls may be intercepted. */
struct command_page {
	atomic_int state; /* enum command_state */
	atomic_int go;
	int32_t listener;
	int32_t stage;
	int32_t error;
	int32_t exec_error;
	int32_t exists;
};

enum command_state { COMMAND_STARTING, COMMAND_READY, COMMAND_FAILED };

/* plan.c */
const struct plan *plan_map(int fd);
const struct record *plan_first(const struct plan *plan);
const struct record *plan_next(const struct plan *plan, const struct record *record);
const struct record *plan_find(const struct plan *plan, enum record_kind kind);
const char *record_string(const struct record *record, unsigned int index);
const void *record_bytes(const struct record *record);

/* report.c */
void report_to(int fd);
_Noreturn void fail(enum stage stage, uint32_t step);
int send_message(int fd, const struct message *message);
int receive_message(int fd, struct message *message);

/* stage.c */
int target_open(int root, const char *path);
void stage_outside(const struct plan *plan, int user_namespace);
void stage_inside(const struct plan *plan, int root);

/* userns.c */
_Noreturn void userns_run(int argc, char **argv);
_Noreturn void enter_run(int argc, char **argv);

/* spawner.c */
int spawner_start(void);

/* lock.c */
_Noreturn void lock_run(const char *path);

/* outer.c */
_Noreturn void outer_run(const struct plan *plan, bool joins);

/* supervisor.c */
void supervisor_watch(void);
void supervisor_leave(void);
bool supervisor_lives(void);

/* inner.c */
struct inner_context {
	const struct plan *plan;
	int outer; /* socket to the outer process */
	int terminal; /* or -1 */
	bool joined; /* not PID 1, but a session of join.c */
};
_Noreturn void inner_run(const struct inner_context *context);
void wait_until_staged(int outer);
void take_identity(void);
void install_deny_filter(const struct plan *plan);

/* join.c */
pid_t join_start(const struct plan *plan, int terminal, int *socket);
unsigned int kill_tree(pid_t pid, unsigned int depth);

/* init.c */
_Noreturn void init_run(const struct inner_context *context);

/* command.c */
int install_filter(const struct record *filter, unsigned int flags);
pid_t command_start(const struct plan *plan, struct command_page *page);

#endif
