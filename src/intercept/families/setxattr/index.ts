// setxattr, getxattr, listxattr, removexattr in all variants: trusted attributes of the container's own files.

import {SystemError} from '../../../ffi/errors.js'
import {AT_SYMLINK_NOFOLLOW, PAGE_BYTES, PATH_MAX, XATTR_NAME_MAX, XATTR_SIZE_MAX} from '../../../kernel/constants.js'
import {ERRNO} from '../../../kernel/errno.js'
import {AT_FLAGS} from '../../../kernel/names/files.js'
import {XATTR_FLAGS} from '../../../kernel/names/setxattr.js'
import {
  SHOWN_BYTES_MAX,
  buffer,
  dirFd,
  flags,
  int32,
  optionalString,
  path,
  pointer,
  quote,
  size,
  string,
} from '../../caller/argument-kinds.js'
import {members} from '../../caller/struct-layout.js'
import {isUnread, orUnread, tolerant} from '../../caller/tolerant.js'
import type {Unread} from '../../caller/tolerant.js'
import {defineFamily, defineSyscall} from '../../family.js'
import type {AnyCall, Argument, ArgumentIndex, Caller, CallerMemory, Json, StructLayout} from '../../family.js'
import {checkAttributes} from './check.js'
import {decideChange, decideGet, decideList} from './decide.js'
import {ioUringSetup} from './io-uring.js'
import {setxattrPolicy} from './policy.js'
import type {SetxattrPolicy} from './policy.js'
import {
  AT_EMPTY_PATH,
  attemptWithoutPermission,
  attributeState,
  performGet,
  performList,
  performRemove,
  performSet,
} from './trusted-attributes.js'
import type {AttributeState, Target} from './trusted-attributes.js'

const XATTR_ARGS_BYTES = 16

export const setxattrFamily = defineFamily<SetxattrPolicy, AttributeState>({
  name: 'setxattr',
  summary: 'trusted attributes: setxattr, getxattr, listxattr, removexattr and their variants',
  strategies: [
    {
      name: 'trusted',
      summary: 'the attribute itself, on files that belong to the container',
      needs: 'CAP_SYS_ADMIN in the initial user namespace, and a file system that has trusted attributes',
    },
    {
      name: 'user',
      summary: 'kept as user.interceptor.trusted.*, shown to the container and exported under its own name',
      needs: 'a file system that has user attributes (tmpfs: Linux 6.6); regular files and directories only',
    },
  ],
  policy: setxattrPolicy,
  check: checkAttributes,
  prepare: ({names}) => ({archivedAttributes: names}),
  calls: (_policy, {rootless}) => [
    ...pathCalls('', true, rootless),
    ...pathCalls('l', false, rootless),
    ...descriptorCalls(rootless),
    ...atCalls(rootless),
    ioUringSetup,
  ],
  start: ({names}, container) => attributeState(names, container),
})

const nameAt = (index: ArgumentIndex): Argument<Buffer | Unread> => tolerant(string(index, XATTR_NAME_MAX + 1))
const pathAt = (index: ArgumentIndex): Argument<Buffer | Unread> => tolerant(path(index))
const valueAt = (index: ArgumentIndex): Argument<Buffer | Unread | null> =>
  tolerant(buffer(index, (index + 1) as ArgumentIndex, XATTR_SIZE_MAX))

/** The four decisions, for a supervisor with or without rights over the host. */
function decisions(rootless: boolean) {
  return {
    change: (...[values, facts, policy]: First3<typeof decideChange>) => decideChange(values, facts, policy, rootless),
    get: (...[values, facts, policy]: First3<typeof decideGet>) => decideGet(values, facts, policy, rootless),
    list: (...[values, facts, policy]: First3<typeof decideList>) => decideList(values, facts, policy, rootless),
  }
}

type First3<F extends (...values: never[]) => unknown> =
  Parameters<F> extends [infer A, infer B, infer C, ...unknown[]] ? [A, B, C] : never

function pathCalls(prefix: 'l' | '', follow: boolean, rootless: boolean): readonly AnyCall[] {
  const decide = decisions(rootless)
  const target = (bytes: Buffer | Unread): Target => ({kind: 'path', path: bytes, follow})
  return [
    defineSyscall({
      name: `${prefix}setxattr`,
      arguments: {path: pathAt(0), name: nameAt(1), value: valueAt(2), size: size(3), flags: flags(4, XATTR_FLAGS)},
      decide: decide.change,
      perform: (values, caller: Caller, state: AttributeState) =>
        performSet(target(values.path), values, caller, state),
      attemptWithoutPermission: (values, caller) => attemptWithoutPermission(target(values.path), caller),
    }),
    defineSyscall({
      name: `${prefix}getxattr`,
      arguments: {path: pathAt(0), name: nameAt(1), value: pointer(2), size: size(3)},
      worksNatively: true,
      decide: decide.get,
      perform: (values, caller: Caller, state: AttributeState) =>
        performGet(target(values.path), values, caller, state),
    }),
    defineSyscall({
      name: `${prefix}listxattr`,
      arguments: {path: pathAt(0), list: pointer(1), size: size(2)},
      worksNatively: true,
      decide: decide.list,
      perform: (values, caller: Caller, state: AttributeState) =>
        performList(target(values.path), values, caller, state),
    }),
    defineSyscall({
      name: `${prefix}removexattr`,
      arguments: {path: pathAt(0), name: nameAt(1)},
      decide: decide.change,
      perform: (values, caller: Caller, state: AttributeState) =>
        performRemove(target(values.path), values.name, caller, state),
      attemptWithoutPermission: (values, caller) => attemptWithoutPermission(target(values.path), caller),
    }),
  ]
}

function descriptorCalls(rootless: boolean): readonly AnyCall[] {
  const decide = decisions(rootless)
  const target = (fd: number): Target => ({kind: 'descriptor', fd})
  return [
    defineSyscall({
      name: 'fsetxattr',
      arguments: {fd: int32(0), name: nameAt(1), value: valueAt(2), size: size(3), flags: flags(4, XATTR_FLAGS)},
      decide: decide.change,
      perform: (values, caller: Caller, state: AttributeState) => performSet(target(values.fd), values, caller, state),
      attemptWithoutPermission: (values, caller) => attemptWithoutPermission(target(values.fd), caller),
    }),
    defineSyscall({
      name: 'fgetxattr',
      arguments: {fd: int32(0), name: nameAt(1), value: pointer(2), size: size(3)},
      worksNatively: true,
      decide: decide.get,
      perform: (values, caller: Caller, state: AttributeState) => performGet(target(values.fd), values, caller, state),
    }),
    defineSyscall({
      name: 'flistxattr',
      arguments: {fd: int32(0), list: pointer(1), size: size(2)},
      worksNatively: true,
      decide: decide.list,
      perform: (values, caller: Caller, state: AttributeState) => performList(target(values.fd), values, caller, state),
    }),
    defineSyscall({
      name: 'fremovexattr',
      arguments: {fd: int32(0), name: nameAt(1)},
      decide: decide.change,
      perform: (values, caller: Caller, state: AttributeState) =>
        performRemove(target(values.fd), values.name, caller, state),
      attemptWithoutPermission: (values, caller) => attemptWithoutPermission(target(values.fd), caller),
    }),
  ]
}

interface AtValues {
  readonly dirfd: number
  readonly path: Buffer | Unread | null
  readonly at_flags: number
}

/** Linux 6.13. */
function atCalls(rootless: boolean): readonly AnyCall[] {
  const decide = decisions(rootless)
  const where = {dirfd: dirFd(0), path: tolerant(optionalString(1, PATH_MAX)), at_flags: flags(2, AT_FLAGS)}
  const args = xattrArgs(4, 5)
  // Flags that setxattrat(2) does not know, and structures that it can't take, get the kernel's own errno.
  const isWrong = ({at_flags: bits, args: given}: {readonly at_flags: number; readonly args?: XattrArgs | Unread}) =>
    (bits & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0 || (given !== undefined && isUnread(given))
  const wrong = {kind: 'continue', reason: 'the kernel has an error of its own for these arguments'} as const
  return [
    defineSyscall({
      name: 'setxattrat',
      arguments: {...where, name: nameAt(3), args, usize: size(5)},
      decide: (values, facts, policy: SetxattrPolicy) => {
        const verdict = decide.change(
          isUnread(values.args) ? {name: values.name} : {...values.args, name: values.name},
          facts,
          policy,
        )
        return verdict.kind === 'perform' && isWrong(values) ? wrong : verdict
      },
      perform: (values, caller: Caller, state: AttributeState) => {
        const {name, args: given} = values
        if (isUnread(given)) throw new Error('decided without its arguments')
        return performSet(targetAt(values), {...given, name}, caller, state)
      },
      attemptWithoutPermission: (values, caller) => attemptWithoutPermission(targetAt(values), caller),
    }),
    defineSyscall({
      name: 'getxattrat',
      arguments: {...where, name: nameAt(3), args: xattrArgs(4, 5, false), usize: size(5)},
      worksNatively: true,
      decide: (values, facts, policy: SetxattrPolicy) => {
        const verdict = decide.get(values, facts, policy)
        // getxattr takes no flags: path_getxattrat() is asked with them after the structure was read.
        const isRefused = isWrong(values) || (!isUnread(values.args) && values.args.flags !== 0)
        return verdict.kind === 'perform' && isRefused ? {...wrong, silent: true} : verdict
      },
      perform: (values, caller: Caller, state: AttributeState) => {
        const {name, args: given} = values
        if (isUnread(given)) throw new Error('decided without its arguments')
        return performGet(targetAt(values), {name, value: given.address, size: given.size}, caller, state)
      },
    }),
    defineSyscall({
      name: 'listxattrat',
      arguments: {...where, list: pointer(3), size: size(4)},
      worksNatively: true,
      decide: (values, facts, policy: SetxattrPolicy) =>
        isWrong(values) || isNowhere(values) ? {...wrong, silent: true} : decide.list(values, facts, policy),
      perform: (values, caller: Caller, state: AttributeState) => performList(targetAt(values), values, caller, state),
    }),
    defineSyscall({
      name: 'removexattrat',
      arguments: {...where, name: nameAt(3)},
      decide: (values, facts, policy: SetxattrPolicy) => {
        const verdict = decide.change(values, facts, policy)
        return verdict.kind === 'perform' && (isWrong(values) || isNowhere(values)) ? wrong : verdict
      },
      perform: (values, caller: Caller, state: AttributeState) =>
        performRemove(targetAt(values), values.name, caller, state),
      attemptWithoutPermission: (values, caller) => attemptWithoutPermission(targetAt(values), caller),
    }),
  ]
}

/** Without a path there must be a descriptor: path_listxattrat() and path_removexattrat() have no directory instead. */
function isNowhere({dirfd, path: bytes, at_flags: bits}: AtValues): boolean {
  const isEmpty = bytes === null || (!isUnread(bytes) && bytes.length === 0)
  return isEmpty && dirfd < 0 && (bits & AT_EMPTY_PATH) !== 0
}

function targetAt({dirfd, path: bytes, at_flags: bits}: AtValues): Target {
  const follow = (bits & AT_SYMLINK_NOFOLLOW) === 0
  return {kind: 'at', dirfd, path: bytes, follow, empty: (bits & AT_EMPTY_PATH) !== 0}
}

/** struct xattr_args of include/uapi/linux/xattr.h: the same on all ABIs. */
export interface XattrArgs {
  readonly address: number
  readonly size: number
  readonly flags: number
  /** null: longer than any value may be, or not read here. */
  readonly value: Buffer | Unread | null
}

const XATTR_ARGS: StructLayout = {
  bytes: XATTR_ARGS_BYTES,
  members: {value: {offset: 0, type: 'pointer'}, ...members('u32', 'size flags', 8, 4)},
}

/** Read once, by the rules of copy_struct_from_user(); the value too, where the call takes one. */
function xattrArgs(index: ArgumentIndex, sizeIndex: ArgumentIndex, withValue = true): Argument<XattrArgs | Unread> {
  return {
    index,
    read: (registers, memory) =>
      orUnread(() => {
        const bytes = readStructure(memory, registers.address(index), registers.address(sizeIndex))
        const [address, length] = [Number(bytes.readBigUInt64LE(0)), bytes.readUInt32LE(8)]
        const value =
          withValue && length <= XATTR_SIZE_MAX
            ? orUnread(() => memory.bytes(length === 0 ? 0 : address, length))
            : null
        return {address, size: length, flags: bytes.readUInt32LE(12), value}
      }),
    show: (value) => (isUnread(value) ? '...' : showArgs(value, withValue)),
    json: (value) => (isUnread(value) ? null : jsonArgs(value)),
    layout: () => XATTR_ARGS,
  }
}

/** `length` may be NaN, which is more than any size. */
function readStructure(memory: CallerMemory, address: number, length: number): Buffer {
  if (length < XATTR_ARGS_BYTES) throw new SystemError('setxattrat', ERRNO.EINVAL)
  if (!(length <= PAGE_BYTES)) throw new SystemError('setxattrat', ERRNO.E2BIG)
  const bytes = memory.bytes(address, length)
  if (bytes.subarray(XATTR_ARGS_BYTES).some((byte) => byte !== 0)) throw new SystemError('setxattrat', ERRNO.E2BIG)
  return bytes
}

function showArgs({address, size: length, flags: bits, value}: XattrArgs, withValue: boolean): string {
  const shown = value === null || isUnread(value) ? `0x${address.toString(16)}` : quote(value, SHOWN_BYTES_MAX)
  const flagsShown = withValue ? `, flags=${flags(0, XATTR_FLAGS).show(bits)}` : ''
  return `{value=${shown}, size=${length}${flagsShown}}`
}

function jsonArgs({size: length, flags: bits, value}: XattrArgs): Json {
  const shown = value === null || isUnread(value) ? null : buffer(0, 1, 0).json(value)
  return {value: shown, size: length, flags: bits}
}
