// Starts another program. node:child_process forks this process, and a fork copies the page tables of all of V8's heap
// and has each page that is written afterwards fault once more; posix_spawn(3) shares the memory until the execve.

import {F_GETFL, F_SETFL, O_NONBLOCK} from '../kernel/constants.js'
import {addressOf, cString, declare, declareInt} from './declare.js'
import {SystemError} from './errors.js'
import {close, duplicateCloseOnExec, fcntl, retryInterrupted} from './libc.js'

const POSIX_SPAWN_SETSIGDEF = 0x04
const POSIX_SPAWN_SETSIGMASK = 0x08
/** More than posix_spawnattr_t needs, 336 bytes in glibc and musl; posix_spawn_file_actions_t is smaller. */
const STRUCTURE_BYTES = 512
const SIGSET_BYTES = 128

const callSpawn = declareInt('posix_spawn', ['buffer', 'path', 'buffer', 'buffer', 'buffer', 'buffer'])
const initActions = declareInt('posix_spawn_file_actions_init', ['buffer'])
const addDuplicate = declareInt('posix_spawn_file_actions_adddup2', ['buffer', 'fd', 'fd'])
const destroyActions = declareInt('posix_spawn_file_actions_destroy', ['buffer'])
const initAttributes = declareInt('posix_spawnattr_init', ['buffer'])
const setFlags = declareInt('posix_spawnattr_setflags', ['buffer', 'int'])
const setDefaults = declareInt('posix_spawnattr_setsigdefault', ['buffer', 'buffer'])
const setMask = declareInt('posix_spawnattr_setsigmask', ['buffer', 'buffer'])
const destroyAttributes = declareInt('posix_spawnattr_destroy', ['buffer'])
const callWaitpid = declare('waitpid', ['int', 'buffer', 'int'])

/**
 * The pid of a child that runs the file `program` with an empty environment, every signal at its default and none
 * blocked. It gets `descriptors[n]` as its descriptor n, and whatever else of ours is not close-on-exec. The first three
 * block: Node makes the open files of its standard streams non-blocking as soon as anything looks at process.stdin or
 * the others, as each import of node:process does, and the child has these open files too.
 *
 * @throws SystemError, also where the file can't be executed (posix_spawn(3)).
 */
export function spawn(program: string, words: readonly string[], descriptors: readonly number[]): number {
  const pid = new Int32Array(1)
  const strings = words.map(cString)
  const argv = new BigUint64Array([...strings.map(addressOf), 0n])
  const [actions, attributes] = [Buffer.alloc(STRUCTURE_BYTES), Buffer.alloc(STRUCTURE_BYTES)]
  const copies: number[] = []
  for (const fd of descriptors.slice(0, 3)) makeBlocking(fd)
  check(initActions(actions))
  check(initAttributes(attributes))
  try {
    for (const [index, fd] of descriptors.entries()) {
      // Above all that the child is given, so that no dup2 covers one that is still needed.
      const copy = duplicateCloseOnExec(fd, Math.max(3, descriptors.length))
      copies.push(copy)
      check(addDuplicate(actions, copy, index))
    }
    check(setFlags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
    check(setDefaults(attributes, Buffer.alloc(SIGSET_BYTES, 0xff)))
    check(setMask(attributes, Buffer.alloc(SIGSET_BYTES)))
    check(callSpawn(pid, program, actions, attributes, argv, new BigUint64Array(1)))
  } finally {
    destroyActions(actions)
    destroyAttributes(attributes)
    for (const copy of copies) close(copy)
    // The strings must not be collected before the child has read them.
    strings.length = 0
  }
  return pid[0]!
}

/** Waits for our child and takes its wait status (wait(2)). */
export function waitFor(pid: number): number {
  const status = new Int32Array(1)
  retryInterrupted(() => callWaitpid(pid, status, 0))
  return status[0]!
}

function makeBlocking(fd: number): void {
  const flags = fcntl(fd, F_GETFL, 0)
  if ((flags & O_NONBLOCK) !== 0) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK)
}

/** These functions return their errno. */
function check(errno: number): void {
  if (errno !== 0) throw new SystemError('posix_spawn', errno)
}
