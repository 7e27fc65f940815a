// What a container needs among its devices to mount: sources, /dev/fuse, and loop devices that are its own.

import {closeSync, ftruncateSync, lstatSync, openSync} from 'node:fs'

import {LaunchError} from '../../../errors.js'
import {isSystemError} from '../../../ffi/errors.js'
import {flock} from '../../../ffi/libc.js'
import {memfd_create} from '../../../ffi/process.js'
import {O_CLOEXEC} from '../../../kernel/constants.js'
import type {Device} from '../../../kernel/device-numbers.js'
import {pathOfDescriptor} from '../../caller/descriptor-path.js'
import type {NodeOption, Preparation, PreparationRequest} from '../../preparation.js'
import {ERRNO} from '../../../kernel/errno.js'
import {LOCK_EX, LOCK_NB, LOOP_CONTROL, attachImage} from './loop/loop-device.js'
import {standInMemory} from './loop/stand-in.js'
import type {LoopStandIn, LoopStandIns} from './loop/stand-in.js'
import type {MountPolicy} from './policy.js'
import {closeSources, openSources, sourcesOf} from './sources/opened.js'
import type {OpenedSource} from './sources/opened.js'

type OwnNode = Extract<NodeOption, {mode: number}>

/** What the supervisor holds for as long as the container lives. */
export interface MountKept {
  /** Undefined where no image may be mounted. */
  readonly loops: LoopStandIns | undefined
  readonly sources: readonly OpenedSource[]
}

interface Source {
  readonly path: string
  readonly opened: OpenedSource
}

const FUSE: Device = {type: 'c', major: 10, minor: 229}
const NULL: Device = {type: 'c', major: 1, minor: 3}
const FUSE_PATH = '/dev/fuse'
const LOOP_CONTROL_PATH = '/dev/loop-control'
/** Images that may be on their way from losetup to mount at once. */
const LOOPS = 4
/** Something for the kernel to read a partition table from. */
const LOOP_BYTES = 4096

/**
 * @throws UsageError where a source is not there
 * @throws LaunchError where images need loop devices and the host has none
 */
export function prepareMount(policy: MountPolicy, {rootless, devices}: PreparationRequest): Preparation<MountKept> {
  const opened = openSources(policy.sources)
  const sources = opened.map((each, index) => ({path: policy.sources[index]!, opened: each}))
  const usesFuse = Object.keys(policy.fuse).length > 0
  try {
    const {
      kept: loops,
      close,
      ...own
    } = rootless ? prepareForUser(sources, usesFuse, devices) : prepareForRoot(sources, usesFuse, devices)
    return {
      shown: sources.map(({path}) => Buffer.from(path)),
      spawner: usesFuse,
      ...own,
      kept: {loops, sources: opened},
      objects: opened.map(({fd}) => fd),
      close() {
        close?.()
        closeSources(opened)
      },
    }
  } catch (error) {
    closeSources(opened)
    throw error
  }
}

/** The sources of `given` that `policy` allows too. A stand-in of the first supervisor is no loop device for this one. */
export function adoptMount(
  policy: MountPolicy,
  given: MountPolicy,
  objects: readonly number[],
): Pick<Preparation<MountKept>, 'close' | 'kept'> {
  const sources = sourcesOf(objects, (index) => policy.sources.includes(given.sources[index]!))
  return {kept: {loops: undefined, sources}, close: () => closeSources(sources)}
}

/**
 * What an ordinary user's supervisor can do: images go to FUSE programs, which open them by name, so that all that
 * mount(8) needs of a loop device is something that can be opened. It makes no nodes: the host's own have to do.
 */
function prepareForUser(
  sources: readonly Source[],
  usesFuse: boolean,
  shown: readonly Buffer[],
): Preparation<LoopStandIns> {
  if (!usesFuse) return {}
  const fuse = !isShown(FUSE_PATH, shown) && isCharacterDevice(FUSE_PATH) ? [ofHost(FUSE_PATH, FUSE_PATH)] : []
  if (!sources.some(isOfImages)) return {nodes: fuse}
  const devices = Array.from({length: LOOPS}, (_, number) => ({number, device: NULL, fd: -1, memory: -1}))
  const names = [LOOP_CONTROL_PATH, ...devices.map(({number}) => loopPath(number))]
  return {
    nodes: [...fuse, ...names.map((name) => ofHost(name, '/dev/null'))],
    kept: {devices, memory: standInMemory(LOOPS)},
  }
}

function ofHost(path: string, source: string): NodeOption {
  return {path: Buffer.from(path), source: Buffer.from(source)}
}

function prepareForRoot(
  sources: readonly Source[],
  usesFuse: boolean,
  shown: readonly Buffer[],
): Preparation<LoopStandIns> {
  const mode = usesFuse ? 0o660 : 0o440
  const blocks = sources.flatMap(({path, opened}) =>
    opened.kind !== 'device'
      ? []
      : [...new Set([path, pathOfDescriptor(opened.fd).toString()])]
          .filter((name) => !isShown(name, shown))
          .map((name) => ({path: Buffer.from(name), device: opened.device, mode})),
  )
  const fuse = usesFuse && !isShown(FUSE_PATH, shown) ? [{path: Buffer.from(FUSE_PATH), device: FUSE, mode: 0o666}] : []
  const nodes: OwnNode[] = [...blocks, ...fuse]
  const loops = sources.some(isOfImages) ? makeStandIns([...shown, ...nodes.map(({path}) => path)]) : []
  if (loops.length > 0) {
    // The requests of its ioctls are taken by the filter: any node that opens will do.
    nodes.push({path: Buffer.from(LOOP_CONTROL_PATH), device: NULL, mode: 0o660})
    nodes.push(...loops.map(({number, device}) => ({path: Buffer.from(loopPath(number)), device, mode: 0o660})))
  }
  return {
    nodes,
    deviceRules: nodes.map(({device, mode}) => ({...device, access: mode === 0o440 ? 'r' : 'rw'})),
    ...(loops.length > 0 && {kept: {devices: loops, memory: standInMemory(loops.length)}}),
    close: () => loops.forEach(release),
  }
}

function isShown(path: string, shown: readonly Buffer[]): boolean {
  return shown.some((other) => other.equals(Buffer.from(path)))
}

function isCharacterDevice(path: string): boolean {
  return lstatSync(path, {throwIfNoEntry: false})?.isCharacterDevice() === true
}

/** The kernel takes the device away when nobody holds it. */
function release({fd, memory}: LoopStandIn): void {
  closeSync(fd)
  closeSync(memory)
}

function isOfImages({opened}: Source): boolean {
  return opened.kind !== 'device'
}

function makeStandIns(taken: readonly Buffer[]): readonly LoopStandIn[] {
  const made: LoopStandIn[] = []
  try {
    for (let number = 0; made.length < LOOPS; number++) {
      if (!isShown(loopPath(number), taken)) made.push(makeStandIn(number))
    }
    return made
  } catch (cause) {
    made.forEach(release)
    throw new LaunchError('cannot set up loop devices for the images of --mount-source', {
      cause,
      hints: ['load the module: modprobe loop', 'or name block devices instead of images'],
    })
  }
}

function makeStandIn(number: number): LoopStandIn {
  const memory = memfd_create('interceptor-loop')
  try {
    ftruncateSync(memory, LOOP_BYTES)
    const request = {image: memory, readOnly: false, name: Buffer.from('interceptor')}
    const {device, fd} = attachImage(request, {openDevice, privileged: (action) => action()})
    keepProbesAway(fd)
    return {number, device, fd, memory}
  } catch (error) {
    closeSync(memory)
    throw error
  }
}

/** udev and what it starts leave a locked device alone (systemd.io/BLOCK_DEVICE_LOCKING): the container says what is in it. */
function keepProbesAway(device: number): void {
  try {
    flock(device, LOCK_EX | LOCK_NB)
  } catch (error) {
    // Whoever holds the lock has taken the device for one of its own.
    if (!isSystemError(error, ERRNO.EAGAIN)) throw error
  }
}

function openDevice({minor, major}: Device, flags: number): number {
  const isControl = major === LOOP_CONTROL.major && minor === LOOP_CONTROL.minor
  return openSync(isControl ? LOOP_CONTROL_PATH : loopPath(minor), flags | O_CLOEXEC)
}

function loopPath(number: number): string {
  return `/dev/loop${number}`
}
