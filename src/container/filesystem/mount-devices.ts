// What a container needs among its devices to mount: sources, /dev/fuse, and loop devices that are its own.

import {closeSync, ftruncateSync, openSync, realpathSync, statSync} from 'node:fs'

import {LaunchError, UsageError} from '../../errors.js'
import {O_CLOEXEC} from '../../ffi/libc.js'
import {memfd_create} from '../../ffi/process.js'
import type {LoopStandIn, LoopStandIns} from '../../intercept/container.js'
import {decodeDevice} from '../../kernel/device-numbers.js'
import {LOOP_CONTROL, attachImage} from '../../intercept/families/mount/loop/loop-device.js'
import {standInMemory} from '../../intercept/families/mount/loop/stand-in.js'
import type {Device, MountPolicy} from '../../intercept/policy.js'
import type {DeviceRule} from '../cgroup/device-rule.js'
import {display} from './path-bytes.js'

/** A device node for the container: made by the supervisor, or of the host where it can make none. */
export type NodeOption =
  | {readonly path: Buffer; readonly device: Device; readonly mode: number}
  | {readonly path: Buffer; readonly source: Buffer}

type OwnNode = Extract<NodeOption, {mode: number}>

export interface MountDevices {
  readonly nodes: readonly NodeOption[]
  readonly rules: readonly DeviceRule[]
  readonly loops: LoopStandIns | undefined
  /** The kernel takes the loop devices away. */
  close(): void
}

const FUSE: Device = {type: 'c', major: 10, minor: 229}
const NULL: Device = {type: 'c', major: 1, minor: 3}
/** Images that may be on their way from losetup to mount at once. */
const LOOPS = 4
/** Something for the kernel to read a partition table from. */
const LOOP_BYTES = 4096

const NONE: MountDevices = {nodes: [], rules: [], loops: undefined, close: () => undefined}

/**
 * What an ordinary user's supervisor can do: images go to FUSE programs, which open them by name, so that all that
 * mount(8) needs of a loop device is something that can be opened.
 */
export function prepareUserMountDevices(policy: MountPolicy | undefined): MountDevices {
  if (policy === undefined || Object.keys(policy.fuse).length === 0) return NONE
  if (!policy.sources.some((path) => sourceOf(path).device === undefined)) return NONE
  const devices = Array.from({length: LOOPS}, (_, number) => ({number, device: NULL, fd: -1, memory: -1}))
  const names = ['/dev/loop-control', ...devices.map(({number}) => `/dev/loop${number}`)]
  const nodes = names.map((name) => ({path: Buffer.from(name), source: Buffer.from('/dev/null')}))
  return {nodes, rules: [], loops: {devices, memory: standInMemory(LOOPS)}, close: () => undefined}
}

/**
 * For a privileged supervisor.
 *
 * @param shown device nodes that are shown anyway (--device)
 */
export function prepareMountDevices(policy: MountPolicy | undefined, shown: readonly Buffer[]): MountDevices {
  if (policy === undefined) return NONE
  const usesFuse = Object.keys(policy.fuse).length > 0
  const sources = policy.sources.map(sourceOf)
  const isShown = (path: string) => shown.some((other) => other.equals(Buffer.from(path)))
  const mode = usesFuse ? 0o660 : 0o440
  const blocks = sources.flatMap(({path, device}) =>
    device === undefined
      ? []
      : [...new Set([path, realpathSync(path)])]
          .filter((name) => !isShown(name))
          .map((name) => ({path: Buffer.from(name), device, mode})),
  )
  const fuse = usesFuse && !isShown('/dev/fuse') ? [{path: Buffer.from('/dev/fuse'), device: FUSE, mode: 0o666}] : []
  const nodes: OwnNode[] = [...blocks, ...fuse]
  const loops = sources.some(({device}) => device === undefined)
    ? makeStandIns([...shown, ...nodes.map(({path}) => path)])
    : []
  if (loops.length > 0) {
    // The requests of its ioctls are taken by the filter: any node that opens will do.
    nodes.push({path: Buffer.from('/dev/loop-control'), device: NULL, mode: 0o660})
    nodes.push(...loops.map(({number, device}) => ({path: loopPath(number), device, mode: 0o660})))
  }
  return {
    nodes,
    rules: nodes.map(({device, mode}) => ({...device, access: mode === 0o440 ? 'r' : 'rw'})),
    loops: loops.length === 0 ? undefined : {devices: loops, memory: standInMemory(loops.length)},
    close() {
      for (const {fd, memory} of loops) {
        closeSync(fd)
        closeSync(memory)
      }
    },
  }
}

function sourceOf(path: string): {readonly path: string; readonly device: Device | undefined} {
  const stats = statSync(path, {throwIfNoEntry: false})
  if (stats === undefined) {
    throw new UsageError(`cannot use --mount-source ${display(Buffer.from(path))}: there is nothing of that name`)
  }
  return {path, device: stats.isBlockDevice() ? {type: 'b', ...decodeDevice(stats.rdev)} : undefined}
}

function makeStandIns(taken: readonly Buffer[]): readonly LoopStandIn[] {
  const made: LoopStandIn[] = []
  try {
    for (let number = 0; made.length < LOOPS; number++) {
      if (!taken.some((path) => path.equals(loopPath(number)))) made.push(makeStandIn(number))
    }
    return made
  } catch (cause) {
    for (const {fd, memory} of made) {
      closeSync(fd)
      closeSync(memory)
    }
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
    return {number, device, fd, memory}
  } catch (error) {
    closeSync(memory)
    throw error
  }
}

function openDevice({minor, major}: Device, flags: number): number {
  const isControl = major === LOOP_CONTROL.major && minor === LOOP_CONTROL.minor
  return openSync(isControl ? '/dev/loop-control' : `/dev/loop${minor}`, flags | O_CLOEXEC)
}

function loopPath(number: number): Buffer {
  return Buffer.from(`/dev/loop${number}`)
}
