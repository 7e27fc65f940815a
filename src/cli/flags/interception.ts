// Flags that say which system calls are performed for the container.

import type {Flag} from './index.js'

const group = 'Interception'
const commands = ['run', 'exec', 'explain', 'check'] as const

export const interceptionFlags: readonly Flag[] = [
  {
    name: 'finit-module',
    group,
    commands,
    kind: 'list',
    separator: ',',
    placeholder: 'NAME',
    summary: 'kernel modules that the host loads when the container asks for them',
    description:
      'finit_module(2) and init_module(2) of these modules have the host load its own module of that name with ' +
      "modprobe(8); the container's file is only read for its name. Several names are separated by commas. Parameters " +
      'and force are refused. Modules of all containers are one: what is loaded stays loaded.',
  },
  {
    name: 'mknod',
    group,
    commands,
    kind: 'switch',
    summary: 'make the safe character devices for the container',
    description:
      'mknod(2) and mknodat(2) make the safe character devices: null, zero, full, random, urandom, tty, console, ' +
      'ptmx. Every other device is refused.',
  },
  {
    name: 'mknod-allow',
    group,
    commands,
    kind: 'list',
    placeholder: 'DEV',
    summary: 'allow one more device, as c:10:229, b:7:0 or /dev/fuse',
    description:
      'One more device that mknod(2) may make: c or b, major and minor number with colons between, or the path of a ' +
      'device node of the host. May be repeated. Switches --mknod on.',
  },
  {
    name: 'sched-setscheduler',
    group,
    commands,
    kind: 'switch',
    summary: 'let the container give its processes real-time policies and priorities',
    description:
      'sched_setscheduler(2), sched_setattr(2) and sched_setparam(2) change processes of the container, for callers that ' +
      'hold CAP_SYS_NICE in it, up to the priority of --sched-max-priority. Without root the limits RLIMIT_RTPRIO and ' +
      'RLIMIT_NICE of the process hold too.',
  },
  {
    name: 'sched-max-priority',
    group,
    commands,
    kind: 'value',
    placeholder: 'N',
    summary: 'highest real-time priority, 1 to 99 (default 50)',
    description:
      'The highest real-time priority that the container may give. Real-time processes go before all others of the ' +
      'machine, interceptor too, as far as sched_rt_runtime_us lets them. Switches --sched-setscheduler on.',
  },
  {
    name: 'sched-deadline',
    group,
    commands,
    kind: 'switch',
    summary: 'allow SCHED_DEADLINE too',
    description:
      'SCHED_DEADLINE may be asked for too: it goes before every other process of the machine, as much as the kernel ' +
      'admits. Switches --sched-setscheduler on.',
  },
  {
    name: 'setxattr',
    group,
    commands,
    kind: 'switch',
    summary: 'let the container set, read, list and remove trusted.overlay.opaque',
    description:
      'setxattr(2), getxattr(2), listxattr(2), removexattr(2) and their variants serve the trusted attributes that are ' +
      'allowed, on files that belong to the container: trusted.overlay.opaque and what --setxattr-allow adds. Without ' +
      'root they are kept as user.interceptor.trusted.*, and shown and exported as trusted.*.',
  },
  {
    name: 'setxattr-allow',
    group,
    commands,
    kind: 'list',
    placeholder: 'NAME',
    summary: 'allow one more trusted attribute, as trusted.overlay.redirect',
    description:
      'One more attribute that the container may set, by its whole name, which begins with trusted. May be repeated. ' +
      'Switches --setxattr on. Attributes of security.* can not be allowed: capabilities and labels in them would be ' +
      "those of the host; a container's own file capabilities work without any flag.",
  },
  {
    name: 'mount',
    group,
    commands,
    kind: 'switch',
    summary: 'mount file systems for the container, as the next four flags allow',
    description:
      'mount(2), and fsopen(2) with the calls that go with it, for the types that --mount-allowed and --mount-fuse name. ' +
      'What the kernel lets a user namespace mount by itself, bind mounts and propagation never leave the kernel.',
  },
  {
    name: 'mount-allowed',
    group,
    commands,
    kind: 'list',
    separator: ',',
    placeholder: 'FS[,FS]',
    summary: "file systems that the host's kernel mounts for the container",
    description:
      "Types of file systems, such as ext4 or overlay, that the host's kernel mounts for the container, always with " +
      'nosuid and nodev. The kernel reads the image with all its rights, so name only types whose images you trust. May ' +
      'be repeated. Switches --mount on.',
  },
  {
    name: 'mount-fuse',
    group,
    commands,
    kind: 'list',
    separator: ',',
    placeholder: 'FS=HELPER[,...]',
    summary: 'file systems that a FUSE program in the container mounts instead, as ext4=fuse2fs',
    description:
      'Mounts of the type FS are made by the FUSE program HELPER of the container, which runs there with the rights of ' +
      'the caller. May be repeated. Switches --mount on.',
  },
  {
    name: 'mount-shift',
    group,
    commands,
    kind: 'switch',
    summary: "show owners in what the kernel mounts as the container's ids",
    description:
      'What --mount-allowed mounts is mapped to the ids of the container, so that id 0 of the image is its root. Without ' +
      'it ids of the image are those of the host, which the container sees as 65534. Switches --mount on.',
  },
  {
    name: 'mount-source',
    group,
    commands,
    kind: 'list',
    placeholder: 'PATH',
    summary: 'a block device, image file or directory of images that may be mounted',
    description:
      'A block device, an image file or a directory of image files that may be mounted, and that appears in the ' +
      'container under its own path. Block devices of --device may be mounted too. May be repeated. Switches --mount on.',
  },
  {
    name: 'bpf',
    group,
    commands,
    kind: 'switch',
    summary: 'intercept bpf for the programs that --bpf-devices allows',
    description:
      'bpf(2) is intercepted where it loads, attaches or queries programs. By itself this allows nothing and tells what ' +
      'is asked for; --bpf-devices allows device programs.',
  },
  {
    name: 'bpf-devices',
    group,
    commands,
    kind: 'switch',
    summary: 'load device programs, and attach them at or below the cgroup of the container',
    description:
      'bpf(2) loads programs of the type BPF_PROG_TYPE_CGROUP_DEVICE and attaches, links, detaches and queries them at ' +
      "cgroups of version 2 that are the container's own or lie below it, which it may make itself: its own cgroup is " +
      'mounted where the host has that hierarchy. Such a program can only take devices away. Maps and ' +
      'bpf_set_retval() are refused in them. Other programs and commands are left to the kernel. Needs root. Switches ' +
      '--bpf on.',
  },
  {
    name: 'handler',
    group,
    commands,
    kind: 'list',
    placeholder: 'FILE.js',
    summary: 'let a module of your own answer a system call, or a number that no kernel uses',
    description:
      'FILE.js is a module whose default export declares one call, or an array of them: its name, or a number that no ' +
      'kernel uses, its arguments, and the function that answers it. It runs with the rights of the supervisor, in a ' +
      'worker of its own; a handler that throws, takes longer than its time limit or returns nonsense refuses that call ' +
      'alone. May be repeated. Never taken from a configuration file that was found, only from one that --config names.',
  },
  {
    name: 'sysinfo',
    group,
    commands,
    kind: 'switch',
    summary: "answer sysinfo with the container's memory, swap, uptime, load and processes",
    description:
      "sysinfo(2) answers with the container's own limits and use instead of the host's. Programs that read /proc/meminfo " +
      'instead, as free(1) does, see those where lxcfs runs on the host.',
  },
]
