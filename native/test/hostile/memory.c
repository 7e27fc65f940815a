/*
 * memory SECONDS CALL OTHER [SOURCE]: one thread makes a call whose arguments lie in memory that another changes between
 * what is allowed and what is not. What was checked is what is done:
 *   mknod       the path, to one below OTHER, a directory where the container may change nothing
 *   setxattr    the name, to a trusted attribute that is not allowed; whoever started this looks for it
 *   mount       the source (SOURCE is allowed, OTHER is not), the type and the options
 *   sched       the priority, to one above 50; attr: the same by sched_setattr(2)
 *   bpf         the type of a program
 *   sysinfo     whether the memory is there at all
 */
#define _GNU_SOURCE
#include <linux/bpf.h>
#include <sys/sysinfo.h>

#include "families.h"

enum { MAXIMUM = 50, PAGE = 4096 };

static const char *other;
static unsigned char *page; /* shared by both threads */

struct call {
  const char *name;
  void (*prepare)(void);
  /* The allowed arguments, or the others, are in the page. */
  void (*change)(int to_other);
  /* One call, and a look at what came of it. */
  int (*make)(void);
};

static void put(size_t at, const char *text) { memcpy(page + at, text, strlen(text) + 1); }

static void mknod_prepare_both(void) {
  mkdir("own", 0755);
  unlink("for");
  if (symlink(other, "for")) give_up("symlink");
}
static void mknod_change(int to_other) { put(0, to_other ? "for/n" : "own/n"); }
static int mknod_make(void) {
  int result = mknod((const char *)page, S_IFCHR | 0600, makedev(NULL_MAJOR, NULL_MINOR));
  if (result == 0 && unlink("own/n")) fault("a node was made elsewhere");
  return result;
}

static void setxattr_prepare_file(void) { setxattr_prepare("."); }
static void setxattr_change(int to_other) { put(0, to_other ? "trusted.overlay.metacopy" : TRUSTED); }
static int setxattr_make(void) {
  int result = setxattr("f", (const char *)page, "y", 1, 0);
  if (result == 0 && removexattr("f", TRUSTED)) fault("another attribute was set");
  return result;
}

enum { TYPE_AT = 256, DATA_AT = 512 };
static void mount_prepare_place(void) { mkdir("m", 0755); }
static void mount_change(int to_other) {
  put(0, to_other ? other : mount_source);
  put(TYPE_AT, draw_below(8) == 0 ? "proc" : "ext4");
  put(DATA_AT, draw_below(4) == 0 ? "errors=panic" : "errors=continue");
}
static void check_options(void) {
  char line[2 * PATH_BYTES];
  FILE *mounts = fopen("/proc/thread-self/mountinfo", "re");
  while (mounts && fgets(line, sizeof line, mounts))
    if (strstr(line, "/m ") && strstr(line, "errors=panic")) fault("errors=panic was taken");
  if (mounts) fclose(mounts);
}
static int mount_make(void) {
  const char *text = (const char *)page;
  if (mount(text, "m", text + TYPE_AT, MS_RDONLY, text + DATA_AT)) return -1;
  if (access("m/allowed", F_OK) && access("m/self", F_OK)) fault("another device was mounted");
  check_options();
  umount2("m", MNT_DETACH);
  return 0;
}

static void nothing(void) {}
static void check_priority(void) {
  struct sched_param found = {0};
  if (sched_getparam(0, &found) || found.sched_priority > MAXIMUM) fault("priority %d", found.sched_priority);
}
static void sched_change(int to_other) { ((volatile struct sched_param *)page)->sched_priority = to_other ? 99 : 1; }
static int sched_make(void) {
  int result = sched_setscheduler(0, SCHED_RR, (const struct sched_param *)page);
  check_priority();
  sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
  return result;
}

struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};
static void attr_change(int to_other) {
  volatile struct attributes *attributes = (volatile struct attributes *)page;
  attributes->size = sizeof *attributes;
  attributes->policy = SCHED_RR;
  attributes->priority = to_other ? 99 : 1;
}
static int attr_make(void) {
  int result = (int)syscall(SYS_sched_setattr, 0, page, 0);
  check_priority();
  sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
  return result;
}

static const struct bpf_insn accept_all[] = {
  {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1}, {.code = BPF_JMP | BPF_EXIT},
};
static void bpf_prepare(void) {
  union bpf_attr *attr = (union bpf_attr *)page;
  attr->prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attr->insn_cnt = sizeof accept_all / sizeof *accept_all;
  attr->insns = (uintptr_t)accept_all;
  attr->license = (uintptr_t) "GPL";
}
static void bpf_change(int to_other) {
  ((volatile union bpf_attr *)page)->prog_type = to_other ? BPF_PROG_TYPE_KPROBE : BPF_PROG_TYPE_CGROUP_DEVICE;
}
static int bpf_make(void) {
  char path[64], text[1024] = "";
  int program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, page, 72 /* up to prog_btf_fd */);
  if (program < 0) return -1;
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", program);
  int info = open(path, O_RDONLY);
  if (info < 0 || read(info, text, sizeof text - 1) < 0) give_up(path);
  /* What is handed out stands for the program, which the supervisor keeps. */
  if (strstr(text, "prog_type:")) fault("a program was handed out");
  close(info);
  close(program);
  return 0;
}

static void sysinfo_change(int to_other) { mprotect(page, PAGE, to_other ? PROT_NONE : PROT_READ | PROT_WRITE); }
static int sysinfo_make(void) {
  struct sysinfo *info = (struct sysinfo *)(page + PAGE - sizeof *info);
  int result = sysinfo(info);
  if (result && errno != EFAULT) fault("sysinfo: %s", strerror(errno));
  return result;
}

static const struct call calls[] = {
  {"mknod", mknod_prepare_both, mknod_change, mknod_make},
  {"setxattr", setxattr_prepare_file, setxattr_change, setxattr_make},
  {"mount", mount_prepare_place, mount_change, mount_make},
  {"sched", nothing, sched_change, sched_make},
  {"attr", nothing, attr_change, attr_make},
  {"bpf", bpf_prepare, bpf_change, bpf_make},
  {"sysinfo", nothing, sysinfo_change, sysinfo_make},
};

static const struct call *call;

static void *change(void *unused) {
  while (race_is_on()) {
    call->change(1);
    if (draw_below(4) == 0) pause_below(100);
    call->change(0);
    if (draw_below(4) == 0) pause_below(100);
  }
  call->change(0);
  return unused;
}

static void *make_calls(void *unused) {
  while (race_is_on()) {
    counts->effects += call->make() == 0;
    counts->rounds++;
  }
  return unused;
}

int main(int count, char **words) {
  if (count < 4) return 2;
  race_begin(words[1]);
  other = words[3];
  mount_source = words[4];
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    if (strcmp(calls[i].name, words[2]) == 0) call = &calls[i];
  page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (!call || page == MAP_FAILED) return 2;
  call->prepare();
  call->change(0);
  race_thread(change, NULL);
  race_thread(make_calls, NULL);
  return race_end();
}
