// The modules of the host's kernel: which are there, and how the host loads one of its own.

import {spawnSync} from 'node:child_process'
import {existsSync, fstatSync, readFileSync, readlinkSync, statSync} from 'node:fs'
import {release} from 'node:os'

import {ERRNO} from '../../../kernel/errno.js'
import {normalModuleName} from './module-name.js'

const LOAD_MS = 60_000
const SHOWN_MAX = 300
/** The whole configuration of modprobe. */
const OUTPUT_BYTES_MAX = 4_194_304
const MODULE_FILE = /^([\w-]+)\.ko(?:\.(?:gz|xz|zst))?$/
const STAT = {bigint: true, throwIfNoEntry: false} as const

/** Places of a host; those of this one unless a test has others. */
export interface ModulePlaces {
  readonly sysModule: string
  readonly procModules: string
  /** The directory of the running kernel's modules. */
  readonly library: string
  /** Where modprobe is looked for. */
  readonly searchPath: string
}

const HERE: ModulePlaces = {
  sysModule: '/sys/module',
  procModules: '/proc/modules',
  library: `/lib/modules/${release()}`,
  searchPath: '/usr/sbin:/usr/bin:/sbin:/bin',
}

export type Loaded =
  {readonly kind: 'loaded'} | {readonly kind: 'failed'; readonly errno: number; readonly reason: string}

/** What modprobe(8) says at the end of its message: strerror() of what the kernel answered. */
const ANSWERS: readonly (readonly [RegExp, number])[] = [
  [/not found in directory/, ERRNO.ENOENT],
  [/Operation not permitted/, ERRNO.EPERM],
  [/Key was rejected by service/, ERRNO.EKEYREJECTED],
  [/Exec format error/, ERRNO.ENOEXEC],
  [/No such device/, ERRNO.ENODEV],
  [/Invalid argument/, ERRNO.EINVAL],
  [/Cannot allocate memory/, ERRNO.ENOMEM],
  [/Device or resource busy/, ERRNO.EBUSY],
  [/Function not implemented/, ERRNO.ENOSYS],
]

export class HostModules {
  readonly #places: ModulePlaces

  constructor(places: ModulePlaces = HERE) {
    this.#places = places
  }

  /** Loaded, or built into the kernel. `name` with underscores. */
  isPresent(name: string): boolean {
    return existsSync(`${this.#places.sysModule}/${name}`) || this.#isBuiltIn(name)
  }

  /**
   * The name of the module whose file of the host the descriptor `fd` is of: by device and inode, so that nobody has to
   * unpack it. undefined for every other file. Underscores, as the kernel writes it.
   */
  nameOf(fd: number): string | undefined {
    const shown = readlinkSync(`/proc/self/fd/${fd}`)
    const file = shown.slice(shown.lastIndexOf('/') + 1)
    const name = MODULE_FILE.exec(file)?.[1]
    if (name === undefined) return undefined
    const path = this.#list('modules.dep').find((line) => line.slice(0, line.indexOf(':')).endsWith(`/${file}`))
    if (path === undefined) return undefined
    const own = statSync(`${this.#places.library}/${path.slice(0, path.indexOf(':'))}`, STAT)
    const given = fstatSync(fd, STAT)
    return own?.dev === given.dev && own.ino === given.ino ? normalModuleName(name) : undefined
  }

  /** What the host's modprobe passes to a module by itself, one blank between two words. `name` with underscores. */
  optionsOf(name: string): string {
    const {error, stdout} = this.#modprobe(['-c'])
    if (error !== undefined) return ''
    return stdout
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([command, module]) => command === 'options' && normalModuleName(module ?? '') === name)
      .flatMap(([, , ...options]) => options)
      .join(' ')
  }

  /** Runs the host's modprobe, which knows its files, options and dependencies. -b: and its blacklist. */
  load(name: string): Loaded {
    const {procModules} = this.#places
    const {error, status, stderr} = this.#modprobe(['-b', '--', name])
    const code = (error as NodeJS.ErrnoException | undefined)?.code
    if (status === 0 && this.isPresent(name)) return {kind: 'loaded'}
    if (!existsSync(procModules)) return failed(ERRNO.ENOSYS, "the host's kernel has no loadable modules")
    if (code === 'ENOENT') return failed(ERRNO.ENOSYS, 'modprobe is not installed on the host')
    if (code === 'ETIMEDOUT') return failed(ERRNO.ETIMEDOUT, 'modprobe did not end in time')
    const said = stderr.trim().split('\n')[0]?.slice(0, SHOWN_MAX) ?? ''
    // A module on the blacklist, or a kernel that has it under another name: modprobe is content, and nothing is loaded.
    if (status === 0) return failed(ERRNO.EPERM, `modprobe of the host did not load ${name}`)
    const errno = ANSWERS.find(([pattern]) => pattern.test(said))?.[1] ?? ERRNO.EPERM
    return failed(errno, said === '' ? `modprobe failed with status ${status ?? 'none'}` : said)
  }

  #modprobe(words: readonly string[]) {
    return spawnSync('modprobe', words, {
      cwd: '/',
      env: {PATH: this.#places.searchPath, LC_ALL: 'C'},
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LOAD_MS,
      maxBuffer: OUTPUT_BYTES_MAX,
      encoding: 'latin1',
    })
  }

  /** Lines of a file of the running kernel's modules. */
  #list(file: string): readonly string[] {
    try {
      return readFileSync(`${this.#places.library}/${file}`, 'latin1').split('\n')
    } catch {
      return []
    }
  }

  #isBuiltIn(name: string): boolean {
    return this.#list('modules.builtin').some((line) => {
      const file = line.slice(line.lastIndexOf('/') + 1)
      return normalModuleName(file.replace(/\.ko$/, '')) === name
    })
  }
}

function failed(errno: number, reason: string): Loaded {
  return {kind: 'failed', errno, reason}
}
