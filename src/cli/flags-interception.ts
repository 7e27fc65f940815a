// Flags that say which system calls are performed for the container.

import type {Flag} from './flags.js'

const group = 'Interception'
const commands = ['run', 'explain', 'check'] as const

export const interceptionFlags: readonly Flag[] = [
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
    name: 'sysinfo',
    group,
    commands,
    kind: 'switch',
    summary: "answer sysinfo with the container's memory, swap, uptime, load and processes",
    description: "sysinfo(2) answers with the container's own limits and use instead of the host's.",
  },
]
