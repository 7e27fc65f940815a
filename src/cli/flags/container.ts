// Flags that say what the container is made of.

import {choice, wholePath} from '../../flag.js'
import type {Flag, ListFlag} from '../../flag.js'
import type {IdMapExtent} from '../../intercept/container.js'
import * as read from './values.js'

const common = {group: 'Container', commands: ['run']} as const
const both = ['run', 'exec'] as const
/** check tells whether they can be set. */
const limits = ['run', 'check'] as const

export const container = {
  name: {
    ...common,
    name: 'name',
    kind: 'value',
    placeholder: 'NAME',
    parse: read.parseName,
    summary: 'name of the container',
    description: 'Names the container: letters and digits; after the first character also _ . and -.',
  },
  rootfs: {
    ...common,
    name: 'rootfs',
    kind: 'value',
    placeholder: 'DIR',
    parse: read.parsePath,
    withPath: wholePath,
    summary: "use DIR as the container's root instead of the host's",
    description:
      "DIR becomes the container's root directory, writable unless --read-only. Without it the container sees the " +
      "host's root, read-only.",
  },
  bind: {
    ...common,
    name: 'bind',
    kind: 'list',
    placeholder: 'SRC[:DST[:OPTS]]',
    parse: read.parseBind,
    withPath: read.bindFrom,
    summary: 'show a file or directory of the host in the container',
    description:
      'The file or directory SRC of the host appears as DST in the container; without DST, under its own path. OPTS ' +
      'are separated by commas: ro or rw (the default), and shift, which maps owners to the container. A colon in a ' +
      'path is written as \\:. May be repeated.',
  },
  home: {
    ...common,
    name: 'home',
    kind: 'value',
    placeholder: 'WHICH',
    ...choice('ro'),
    summary: 'ro: show the home of an ordinary user, read-only',
    description:
      "An ordinary user's container does not see that user's home, except for the current directory: the home holds " +
      "keys, and sockets on which the user's programs listen. With ro the container sees it read-only, and can then " +
      'connect to those sockets and write to FIFOs. --bind shows parts of it.',
  },
  tmpfs: {
    ...common,
    name: 'tmpfs',
    kind: 'list',
    placeholder: 'DST',
    parse: read.parseContainerPath,
    summary: 'mount an empty tmpfs at DST',
    description: 'Mounts an empty tmpfs at DST, an absolute path in the container. May be repeated.',
  },
  device: {
    ...common,
    name: 'device',
    kind: 'list',
    placeholder: 'PATH[:[UID:GID:]MODE]',
    parse: read.parseDeviceOption,
    summary: 'give the container a device of the host',
    description:
      "The device of the host's node PATH appears at the same path in the container and may be opened there. Started as " +
      "root, interceptor makes the node: it belongs to the container's root, or to UID and GID of the container, and has " +
      "the permissions of the host's node, or those of the octal MODE, which the container cannot change. For an ordinary " +
      "user the host's own node is shown, with what that user may do. May be repeated.",
  },
  workdir: {
    ...common,
    commands: both,
    name: 'workdir',
    kind: 'value',
    placeholder: 'DIR',
    parse: read.parseContainerPath,
    summary: 'start the command in DIR',
    description: 'Starts the command in DIR, an absolute path in the container.',
  },
  env: {
    ...common,
    commands: both,
    name: 'env',
    kind: 'list',
    placeholder: 'K=V',
    parse: read.parseVariable,
    members: ['string', 'number', 'boolean'],
    summary: 'set an environment variable',
    description:
      "Sets K to V in the command's environment. K alone takes its value from the environment of interceptor, which " +
      'matters with --clear-env. May be repeated.',
  },
  clearEnv: {
    ...common,
    commands: both,
    name: 'clear-env',
    kind: 'switch',
    summary: 'start with a clean environment',
    description:
      'Gives the command none of the environment of interceptor: only a plain PATH, HOME and TERM, and what --env sets.',
  },
  hostname: {
    ...common,
    name: 'hostname',
    kind: 'value',
    placeholder: 'NAME',
    parse: read.parseHostname,
    summary: 'host name in the container',
    description: 'The host name that the container sees: at most 64 letters, digits, hyphens and dots.',
  },
  user: {
    ...common,
    commands: both,
    name: 'user',
    kind: 'value',
    placeholder: 'UID[:GID]',
    parse: read.parseUser,
    isNumber: true,
    summary: 'run the command with these ids of the container (0:0)',
    description: 'Runs the command with these numeric ids of the container. Without GID the group has the same number.',
  },
  uidMap: idMap('uid'),
  gidMap: idMap('gid'),
  memory: {
    ...common,
    commands: limits,
    name: 'memory',
    kind: 'value',
    placeholder: 'SIZE',
    parse: read.parseSize,
    isNumber: true,
    summary: 'limit memory, as 256M or 1.5G',
    description:
      'Limits the memory of the whole container. K, M, G and T are powers of 1024, as are KiB, MiB, GiB and TiB; KB, ' +
      'MB, GB and TB are powers of 1000.',
  },
  pids: {
    ...common,
    commands: limits,
    name: 'pids',
    kind: 'value',
    placeholder: 'N',
    parse: read.parseCount,
    isNumber: true,
    summary: 'limit the number of processes',
    description: 'Limits the processes and threads of the whole container.',
  },
  cpus: {
    ...common,
    commands: limits,
    name: 'cpus',
    kind: 'value',
    placeholder: 'N',
    parse: read.parseCpus,
    isNumber: true,
    summary: 'limit processor time to that of N processors',
    description: 'Limits processor time, counted in processors; 0.5 is half of one.',
  },
  network: {
    ...common,
    name: 'network',
    kind: 'value',
    placeholder: 'KIND',
    ...choice('host', 'none'),
    summary: "host: the host's network; none: only a loopback device (host)",
    description:
      "host shares the host's network; none gives the container a network of its own with nothing but a loopback device.",
  },
  readOnly: {
    ...common,
    name: 'read-only',
    kind: 'switch',
    summary: 'nothing of the host can be written, not even the current directory',
    description:
      "The container's root is read-only, and so is the current directory. --bind and --tmpfs stay as they say.",
  },
  export: {
    ...common,
    name: 'export',
    kind: 'value',
    placeholder: 'FILE',
    parse: read.parsePath,
    // Standard output.
    withPath: (text, absolute) => (text === '-' ? text : absolute(text)),
    summary: 'when the command succeeded, write the tree it made as a tar archive',
    description:
      'When the command succeeds, interceptor writes the directory of --export-root to FILE as a tar archive. Owners, ' +
      'device nodes, whiteouts and extended attributes are what the container saw, whoever started it. - is standard ' +
      "output; the command's own output then goes to standard error. The archive does not hold what is mounted below " +
      'the directory.',
  },
  exportRoot: {
    ...common,
    name: 'export-root',
    kind: 'value',
    placeholder: 'DIR',
    parse: read.parsePath,
    withPath: wholePath,
    summary: 'directory that --export writes (that of --rootfs)',
    description:
      'Names the host directory that --export writes; the command may be the one that makes it. The default is the ' +
      'directory of --rootfs.',
  },
} as const satisfies Readonly<Record<string, Flag>>

export const containerFlags: readonly Flag[] = Object.values(container)

function idMap(id: 'gid' | 'uid'): ListFlag<IdMapExtent> {
  return {
    ...common,
    name: `${id}-map`,
    kind: 'list',
    placeholder: 'C:H:N',
    parse: read.parseIdMap,
    summary: `map N ${id}s from C in the container to H on the host`,
    description:
      `N ${id}s that begin with C in the container are those that begin with H on the host. May be repeated; replaces ` +
      'the map that is chosen otherwise.',
  }
}
