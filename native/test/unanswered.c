/*
 * unanswered DIRECTORY [memory|path]: mounts a file system there whose server never answers for what matters, neither a
 * read of `file`, which may be mapped, nor a lookup of any other name. Whoever asks waits in the kernel, beyond the reach
 * of SIGKILL, until the server is gone (request_wait_answer() in fs/fuse/dev.c). Prints "unanswered" when somebody does.
 *
 * With a second word it then calls mknod(2) with a path in such memory, or with a path that leads there, and prints what
 * came of it. Without one it serves, and prints "mounted" first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ROOT = FUSE_ROOT_ID, FILE_NODE = 2, FILE_BYTES = 65536, REQUEST_BYTES = 1 << 17, CACHED_SECONDS = 1000 };

static void stop(const char *what) {
  perror(what);
  exit(1);
}

static void answer(int fd, const struct fuse_in_header *request, int error, const void *body, size_t size) {
  struct fuse_out_header header = {
    .len = (uint32_t)(sizeof header + size), .error = error, .unique = request->unique,
  };
  struct iovec parts[] = {{&header, sizeof header}, {(void *)(uintptr_t)body, size}};
  if (writev(fd, parts, 2) < 0 && errno != ENOENT) stop("answer");
}

static struct fuse_attr attributes(uint64_t node) {
  const int is_root = node == ROOT;
  return (struct fuse_attr){
    .ino = node, .mode = is_root ? S_IFDIR | 0777 : S_IFREG | 0666, .nlink = 1,
    .size = is_root ? 0 : FILE_BYTES, .blksize = 4096,
  };
}

static void leave_unanswered(void) {
  puts("unanswered");
  fflush(stdout);
}

static void look_up(int fd, const struct fuse_in_header *request) {
  const struct fuse_entry_out entry = {
    .nodeid = FILE_NODE, .attr_valid = CACHED_SECONDS, .entry_valid = CACHED_SECONDS, .attr = attributes(FILE_NODE),
  };
  if (strcmp((const char *)(request + 1), "file") == 0) answer(fd, request, 0, &entry, sizeof entry);
  else leave_unanswered();
}

static void serve_one(int fd, const struct fuse_in_header *request) {
  const struct fuse_init_out init = {
    .major = 7, .minor = 31, .flags = FUSE_PARALLEL_DIROPS, .max_write = 65536,
  };
  const struct fuse_attr_out found = {.attr_valid = CACHED_SECONDS, .attr = attributes(request->nodeid)};
  const struct fuse_open_out opened = {.fh = 1};
  switch (request->opcode) {
  case FUSE_INIT: answer(fd, request, 0, &init, sizeof init); break;
  case FUSE_GETATTR: answer(fd, request, 0, &found, sizeof found); break;
  case FUSE_OPEN: answer(fd, request, 0, &opened, sizeof opened); break;
  case FUSE_LOOKUP: look_up(fd, request); break;
  case FUSE_READ: leave_unanswered(); break;
  case FUSE_INTERRUPT:
  case FUSE_FORGET:
  case FUSE_BATCH_FORGET: break;
  default: answer(fd, request, -ENOSYS, NULL, 0);
  }
}

static void serve(int fd) {
  static union { struct fuse_in_header header; char bytes[REQUEST_BYTES]; } request;
  for (;;) {
    if (read(fd, &request, sizeof request) >= 0) serve_one(fd, &request.header);
    else if (errno != EINTR && errno != ENOENT) exit(errno == ENODEV ? 0 : 1);
  }
}

static const char *mapped_file(const char *directory) {
  char path[4096];
  snprintf(path, sizeof path, "%s/file", directory);
  int fd = open(path, O_RDONLY);
  if (fd < 0) stop(path);
  const char *memory = mmap(NULL, FILE_BYTES, PROT_READ, MAP_PRIVATE, fd, 0);
  if (memory == MAP_FAILED) stop("mmap");
  return memory;
}

int main(int count, char **words) {
  char options[128], path[4096];
  int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (count < 2 || fd < 0) stop("/dev/fuse");
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
  if (mount("unanswered", words[1], "fuse", MS_NOSUID | MS_NODEV, options)) stop("mount");
  if (count == 2) {
    puts("mounted");
    fflush(stdout);
    serve(fd);
  }
  pid_t server = fork();
  if (server < 0) stop("fork");
  if (server == 0) serve(fd);
  close(fd);
  snprintf(path, sizeof path, "%s/other/node", words[1]);
  const char *argument = strcmp(words[2], "memory") == 0 ? mapped_file(words[1]) : path;
  int result = mknod(argument, S_IFCHR | 0666, makedev(1, 3));
  printf("mknod: %s\n", result ? strerror(errno) : "done");
  fflush(stdout);
  kill(server, SIGKILL);
  return 0;
}
