// finit_module, init_module: the container's file is read for its name, and the host loads a module of its own.

import {SystemError} from '../../../ffi/errors.js'
import {fcntl} from '../../../ffi/libc.js'
import {fstat} from '../../../ffi/mount.js'
import {NATIVE_ELF_MACHINE} from '../../../kernel/abi.js'
import {F_GETFL, O_ACCMODE, O_PATH, O_WRONLY, S_IFMT, S_IFREG} from '../../../kernel/constants.js'
import {ERRNO} from '../../../kernel/errno.js'
import {MODULE_FLAGS, MODULE_INIT_COMPRESSED_FILE} from '../../../kernel/names/modules.js'
import {flags, int32, pointer, size, string} from '../../caller/argument-kinds.js'
import {tolerant} from '../../caller/tolerant.js'
import {defineFamily, defineSyscall} from '../../family.js'
import type {Caller, Performed} from '../../family.js'
import {checkModules, unsupportedModules} from './check.js'
import {decideModule, decideName} from './decide.js'
import type {ModuleValues} from './decide.js'
import {HostModules} from './host-modules.js'
import {UnpackError, bytesOfFile, bytesOfMemory, compressionOf, withUnpacked} from './module-bytes.js'
import {ELF_HEADER_BYTES, moduleName, normalModuleName} from './module-name.js'
import type {ModuleBytes} from './module-name.js'
import {modulePolicy} from './policy.js'
import type {ModulePolicy} from './policy.js'

/** INT_MAX, the limit of kernel_read_file() for modules. */
const FILE_BYTES_MAX = 2 ** 31 - 1
const PARAMETERS_LIMIT = 4096
const STRATEGY = 'modprobe'
/** States of the lock. */
const [FREE, HELD] = [0, 1]
export interface ModuleState {
  readonly names: ReadonlySet<string>
  readonly modules: HostModules
  readonly rootless: boolean
  /** Held by the worker that unpacks a module. */
  readonly unpacking: Int32Array
}

const ONLY_ROOT = {kind: 'refuse', errno: ERRNO.EPERM, reason: 'only root can load modules of the host'} as const

export const moduleFamily = defineFamily<ModulePolicy, ModuleState, SharedArrayBuffer>({
  name: 'modules',
  summary: 'kernel modules of the host: finit_module, init_module',
  strategies: [
    {
      name: STRATEGY,
      summary: "the host's own module of that name, loaded by modprobe of the host",
      needs: 'root, loadable modules in the kernel, and modprobe',
    },
  ],
  policy: modulePolicy,
  unsupported: unsupportedModules,
  check: checkModules,
  calls: () => [finitModule, initModule],
  attach: () => ({shared: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)}),
  start: ({names}, {rootless}, lock = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) => ({
    names: new Set(names.map(normalModuleName)),
    modules: new HostModules(),
    rootless,
    unpacking: new Int32Array(lock),
  }),
})

const uargs = (index: 1 | 2) => tolerant(string(index, PARAMETERS_LIMIT))

const finitModule = defineSyscall({
  name: 'finit_module',
  arguments: {fd: int32(0), uargs: uargs(1), flags: flags(2, MODULE_FLAGS)},
  lane: 'slow',
  decide: decideModule,
  perform(values, caller: Caller, state: ModuleState): Performed {
    return attempt(() => {
      const {fd, file} = openModule(values.fd, caller)
      const known = state.modules.nameOf(fd)
      if (known !== undefined) return loadByName(known, values, state)
      if ((values.flags & MODULE_INIT_COMPRESSED_FILE) === 0) return loadFrom(file, values, state)
      return loadCompressed(file, values, state)
    })
  },
})

const initModule = defineSyscall({
  name: 'init_module',
  arguments: {umod: pointer(0), len: size(1), uargs: uargs(2)},
  lane: 'slow',
  decide: decideModule,
  perform(values, caller: Caller, state: ModuleState): Performed {
    return attempt(() => {
      const {umod, len} = values
      if (len < ELF_HEADER_BYTES) throw new SystemError('init_module', ERRNO.ENOEXEC)
      if (!(len <= FILE_BYTES_MAX)) throw new SystemError('init_module', ERRNO.ENOMEM)
      return loadFrom(bytesOfMemory(caller.memory, umod, len), values, state)
    })
  },
})

/** One at a time for a container: each takes memory for the file, a processor and the unpacking program's memory. */
function loadCompressed(file: ModuleBytes, values: ModuleValues, state: ModuleState): Performed {
  const compression = compressionOf(file)
  if (compression === undefined)
    return {kind: 'failed', errno: ERRNO.EINVAL, strategy: STRATEGY, reason: 'the file is not compressed'}
  if (state.rootless) return ONLY_ROOT
  return alone(state.unpacking, () =>
    withUnpacked(file, compression, true, (unpacked) => loadFrom(unpacked, values, state)),
  )
}

function loadFrom(file: ModuleBytes, values: ModuleValues, state: ModuleState): Performed {
  const name = moduleName(file, NATIVE_ELF_MACHINE)
  if (name !== undefined) return loadByName(name, values, state)
  const reason = 'it is no kernel module that names itself'
  return {kind: 'failed', errno: ERRNO.ENOEXEC, strategy: STRATEGY, reason}
}

function loadByName(name: string, values: ModuleValues, {names, modules, rootless}: ModuleState): Performed {
  const verdict = decideName(name, values, names, () => modules.optionsOf(name))
  if (verdict.kind !== 'perform') return verdict
  if (modules.isPresent(name)) {
    return {kind: 'failed', errno: ERRNO.EEXIST, strategy: STRATEGY, reason: `${name} is loaded or built in`}
  }
  if (rootless) return ONLY_ROOT
  const loaded = modules.load(name)
  if (loaded.kind === 'failed') return {kind: 'failed', errno: loaded.errno, strategy: STRATEGY, reason: loaded.reason}
  return {kind: 'done', value: 0, strategy: STRATEGY, reason: `the host loaded its own ${name}`}
}

/** A regular file that is open for reading, as kernel_read_file() wants it. */
function openModule(number: number, caller: Caller): {readonly fd: number; readonly file: ModuleBytes} {
  const fd = caller.openDescriptor(number)
  const status = fcntl(fd, F_GETFL, 0)
  if ((status & O_PATH) !== 0 || (status & O_ACCMODE) === O_WRONLY) throw new SystemError('finit_module', ERRNO.EBADF)
  const {mode, size: bytes} = fstat(fd)
  if ((mode & S_IFMT) !== S_IFREG || bytes <= 0) throw new SystemError('finit_module', ERRNO.EINVAL)
  if (bytes > FILE_BYTES_MAX) throw new SystemError('finit_module', ERRNO.EFBIG)
  return {fd, file: bytesOfFile(fd, bytes)}
}

function attempt(action: () => Performed): Performed {
  try {
    return action()
  } catch (error) {
    if (error instanceof UnpackError) {
      const {errno, reason, hint} = error
      return {kind: 'failed', errno, strategy: STRATEGY, reason, ...(hint !== undefined && {hint})}
    }
    if (error instanceof SystemError) return {kind: 'failed', errno: error.errno, strategy: STRATEGY}
    throw error
  }
}

/** Waits for the worker that holds `lock`; every performance within it ends in bounded time. */
function alone<T>(lock: Int32Array, action: () => T): T {
  while (Atomics.compareExchange(lock, 0, FREE, HELD) !== FREE) Atomics.wait(lock, 0, HELD)
  try {
    return action()
  } finally {
    Atomics.store(lock, 0, FREE)
    Atomics.notify(lock, 0, 1)
  }
}
