// Which directories an overlay is to be made of, and whether all that is in them is the container's.

import {readFileSync} from 'node:fs'

import {SystemError} from '../../../../ffi/errors.js'
import {fstat} from '../../../../ffi/mount.js'
import {ERRNO} from '../../../../kernel/errno.js'
import type {SuperBlocks} from '../../../container.js'
import type {Caller} from '../../../family.js'
import type {MountOption} from '../options.js'

/** OVL_MAX_STACK of fs/overlayfs/super.c. */
const LAYERS_MAX = 500

/** One directory: the key of fsconfig(2) that adds it, and its path without escapes. Bytes as latin1. */
export interface Layer {
  readonly key: string
  readonly path: string
}

/**
 * The directories that an option names, as ovl_parse_param() in fs/overlayfs/params.c splits them; undefined for every
 * other option. Fails with EINVAL where the kernel does so before it looks anything up.
 */
export function layersOf({key, value}: MountOption): readonly Layer[] | undefined {
  switch (key) {
    case 'lowerdir':
      return lowerLayers(textOf(value))
    case 'lowerdir+':
    case 'datadir+':
      return [layer(key, textOf(value))]
    case 'upperdir':
    case 'workdir':
      return [layer(key, unescapeLayer(textOf(value)))]
    default:
      return undefined
  }
}

/** A word alone is no directory: EINVAL of fs_param_is_string(). */
function textOf(value: string | undefined): string {
  if (value === undefined) throw invalid()
  return value
}

/** ovl_parse_param_lowerdir(): `a:b` are layers, `::c` holds data alone, and nothing means no layer at all. */
function lowerLayers(value: string): readonly Layer[] {
  if (value === '') return []
  const names = splitLayers(value)
  if (names === undefined || names.length > LAYERS_MAX) throw invalid()
  return names.map(({key, name}) => layer(key, unescapeLayer(name)))
}

interface LayerName {
  readonly key: 'lowerdir+' | 'datadir+'
  /** Escaped still. */
  readonly name: string
}

/**
 * Undefined where colons stand in front, behind or three together. A layer that follows those that hold data alone is
 * the kernel's to refuse.
 */
function splitLayers(value: string): readonly LayerName[] | undefined {
  const layers: LayerName[] = []
  let key: LayerName['key'] = 'lowerdir+'
  let length = 0
  let colons = ''
  for (const [pair, name = '', after = ''] of value.matchAll(/((?:\\.?|[^\\:])+)(:{0,2})/gsy)) {
    layers.push({key, name})
    key = after === '::' ? 'datadir+' : 'lowerdir+'
    length += pair.length
    colons = after
  }
  return length === value.length && colons === '' ? layers : undefined
}

/** ovl_unescape(). What is appended one by one is taken as it is. */
function unescapeLayer(value: string): string {
  return value.replaceAll(/\\(.?)/gs, '$1')
}

/** ovl_mount_dir_noesc() wants a name. */
function layer(key: string, path: string): Layer {
  if (path === '') throw invalid()
  return {key, path}
}

function invalid(): SystemError {
  return new SystemError('fsconfig', ERRNO.EINVAL)
}

/**
 * Whether the files there are the container's: of super blocks that were made for it or in it after it was launched, or
 * of mounts whose ids are mapped for it, so that others have no owner there (capable_wrt_inode_uidgid()). What is mounted
 * on the host now says nothing of what was when the container began.
 * @param known of the container's description; without it nothing is the container's.
 */
export function areOwn(directories: readonly number[], caller: Caller, known: SuperBlocks | undefined): boolean {
  if (known === undefined) return false
  const theirs = new Map(
    mountsOf(readFileSync(`/proc/${caller.tid}/mountinfo`, 'latin1')).map((mount) => [mount.id, mount]),
  )
  caller.assertAlive()
  const hosts = mountsOf(readFileSync('/proc/thread-self/mountinfo', 'latin1'))
  return directories.every((fd) => {
    const mount = theirs.get(fstat(fd).mountId)
    return mount !== undefined && isOwn(mount, known, hosts)
  })
}

/** `hosts`: what the host has mounted now. */
export function isOwn({device, isMapped}: MountLine, known: SuperBlocks, hosts: readonly MountLine[]): boolean {
  if (known.host.includes(device)) return isMapped && known.mapped.includes(device)
  // An image that was mounted for the container is the host's too where that has mounted it since.
  return hosts.every((mount) => mount.device !== device)
}

export interface MountLine {
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
