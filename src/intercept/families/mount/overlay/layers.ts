// Which directories an overlay is to be made of, and whether all that is in them is the container's.

import {readFileSync} from 'node:fs'

import {SystemError} from '../../../../ffi/errors.js'
import {AT_FDCWD} from '../../../../ffi/libc.js'
import {fstat} from '../../../../ffi/mount.js'
import type {Caller} from '../../../family.js'
import type {MountOption} from '../options.js'

const LAYER_KEYS = new Set(['lowerdir', 'lowerdir+', 'datadir+', 'upperdir', 'workdir'])
/** OVL_MAX_STACK of fs/overlayfs/super.c. */
const LAYERS_MAX = 500

export interface Layers {
  /** Descriptors stay the caller object's. `key`: of fsconfig(2). */
  readonly directories: readonly {readonly key: string; readonly fd: number}[]
  /** False also where a directory was not found: the kernel has the error for that. */
  readonly areOwn: boolean
}

/** The directories of an option, looked up with the rights of the caller; undefined for every other option. */
export function findLayers({key, value}: MountOption, caller: Caller): Layers | undefined {
  if (!LAYER_KEYS.has(key)) return undefined
  const paths = pathsOf(key, value ?? '')
  if (paths.length === 0 || paths.length > LAYERS_MAX) return {directories: [], areOwn: false}
  try {
    const directories = paths.map(({path, ...option}) => {
      return {...option, fd: caller.openPath(AT_FDCWD, Buffer.from(path, 'latin1'), {follow: true})}
    })
    return {
      directories,
      areOwn: areOwn(
        directories.map(({fd}) => fd),
        caller,
      ),
    }
  } catch (error) {
    if (error instanceof SystemError) return {directories: [], areOwn: false}
    throw error
  }
}

/** As ovl_parse_param() of fs/overlayfs/params.c takes them. */
function pathsOf(key: string, value: string): readonly {readonly key: string; readonly path: string}[] {
  if (key.endsWith('+')) return [{key, path: value}]
  if (key !== 'lowerdir') return [{key, path: unescapeLayer(value)}]
  if (value.startsWith(':')) return []
  const [layers = '', ...dataOnly] = value.split(/(?<!\\)::/)
  return [
    ...splitLayers(layers).map((path) => ({key: 'lowerdir+', path: unescapeLayer(path)})),
    ...dataOnly.flatMap(splitLayers).map((path) => ({key: 'datadir+', path: unescapeLayer(path)})),
  ]
}

export function splitLayers(value: string): readonly string[] {
  return value.match(/(?:\\.|[^:\\])+/gs) ?? []
}

/** ovl_unescape() in fs/overlayfs/params.c: what is appended one by one is taken as it is. */
export function unescapeLayer(value: string): string {
  return value.replaceAll(/\\(.)/gs, '$1')
}

/**
 * Whether the files there are the container's by their mount: of a file system that the host does not have mounted, or
 * one whose ids are mapped for the container, so that others have no owner there (capable_wrt_inode_uidgid()).
 */
export function areOwn(directories: readonly number[], caller: Caller): boolean {
  const theirs = new Map(
    mountsOf(readFileSync(`/proc/${caller.tid}/mountinfo`, 'latin1')).map((mount) => [mount.id, mount]),
  )
  caller.assertAlive()
  const hosts = mountsOf(readFileSync('/proc/thread-self/mountinfo', 'latin1'))
  return directories.every((fd) => {
    const mount = theirs.get(fstat(fd).mountId)
    if (mount === undefined) return false
    const same = hosts.filter(({device}) => device === mount.device)
    return same.length === 0 || (mount.isMapped && !same.some(({isMapped}) => isMapped))
  })
}

interface MountLine {
  readonly id: number
  /** Of the super block: what stat(2) shows may be another (btrfs). */
  readonly device: string
  readonly isMapped: boolean
}

/** proc_pid_mountinfo(5). Blanks and line ends in names are escaped there. */
export function mountsOf(mountinfo: string): readonly MountLine[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [id, , device, , , options] = line.split(' ')
    if (device === undefined || options === undefined) return []
    return [{id: Number(id), device, isMapped: options.split(',').includes('idmapped')}]
  })
}
