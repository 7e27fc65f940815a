// LXD beside us: a daemon in namespaces, cgroups and a directory of its own, of which nothing is left afterwards.

import {execFileSync, spawn} from 'node:child_process'
import type {ChildProcess} from 'node:child_process'
import {copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {once} from 'node:events'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'

import {words} from '../../src/container/cgroup/tree.js'
import {BenchError} from '../errors.js'
import type {Context} from '../figure.js'
import {Caller} from '../subjects/caller.js'
import type {Kind} from '../subjects/caller.js'
import {PAUSE} from '../subjects/programs.js'
import {memoryDirectory} from '../subjects/file-systems.js'
import {makeCgroups} from './cgroup.js'
import {unpackMissing} from './unpacked.js'

const CONTAINER = 'bench'
const IMAGE_DIRECTORIES = ['dev', 'proc', 'sbin', 'sys', 'work']
const START_LIMIT_MS = 60_000
const ASK_AGAIN_MS = 200
const ATTEMPTS = 10
const COMPLAINT_MAX = 1000
/** The daemon's ids for containers, where /etc/subuid of the host would name none or those of others. */
const IDS = 'root:1000000:65536\n'

/**
 * Runs in fresh namespaces: $1 is the directory of the unpacked packages, $2 that of the daemon, the rest are cgroups to
 * join. The packages lie over /usr because LXD and liblxc know their files by absolute paths.
 */
const IN_NAMESPACES = `
set -e
packages=$1 own=$2
shift 2
for procs; do echo 0 > "$procs"; done
mount -t overlay -o "lowerdir=$packages/usr:/usr" bench /usr
mount --bind "$own/ids" /etc/subuid
mount --bind "$own/ids" /etc/subgid
mount -t tmpfs -o mode=0755 bench /run
mount -t proc proc /proc
exec lxd
`

export class Lxd {
  readonly version: string
  readonly #context: Context
  readonly #directory: string
  readonly #client: string
  readonly #environment: Readonly<Record<string, string>>
  /** The last that the daemon said. */
  #complaint = ''

  private constructor(context: Context, packages: string, version: string) {
    this.#context = context
    this.version = version
    this.#directory = memoryDirectory(context)
    const unpacked = join(packages, 'usr', 'bin', 'lxc')
    this.#client = existsSync(unpacked) ? unpacked : 'lxc'
    this.#environment = {
      LXD_DIR: join(this.#directory, 'lxd'),
      LXD_CONF: join(this.#directory, 'client'),
      LC_ALL: 'C.UTF-8',
    }
  }

  /** A daemon without a network, and one container in which mknod and setxattr are intercepted. */
  static async start(context: Context): Promise<Lxd> {
    const {directory: packages, version} = unpackMissing(context, 'lxd')
    const lxd = new Lxd(context, packages, version)
    context.say(`starts LXD ${version} in namespaces of its own`)
    const daemon = lxd.#launch(packages)
    await lxd.#untilReady(daemon)
    lxd.#makeContainer()
    return lxd
  }

  /** The same static caller in LXD's container. On a busy machine LXD now and then loses what it executes there. */
  async caller(kind: Kind): Promise<Caller> {
    const words = [this.#client, 'exec', '--force-noninteractive', '--cwd', '/work', CONTAINER, '--']
    const options = {kind, directory: this.#work()}
    for (let attempt = 1; ; attempt++) {
      const caller = Caller.under(this.#context, `LXD ${this.version}`, words, options, this.#environment)
      try {
        await caller.round(1, 1)
        return caller
      } catch (error) {
        if (attempt === ATTEMPTS) throw error
      }
    }
  }

  /** The container's /work, as the host sees it. */
  #work(): string {
    return join(this.#directory, 'lxd', 'storage-pools', 'default', 'containers', CONTAINER, 'rootfs', 'work')
  }

  #launch(packages: string): ChildProcess {
    mkdirSync(join(this.#directory, 'lxd'), {mode: 0o711})
    mkdirSync(join(this.#directory, 'client'))
    writeFileSync(join(this.#directory, 'ids'), IDS)
    const cgroups = makeCgroups(this.#context)
    // Whatever the daemon starts is in its pid namespace and dies with it; it dies with us, however we end.
    const alone = [
      '--pdeathsig',
      'KILL',
      '--',
      'unshare',
      '--mount',
      '--pid',
      '--net',
      '--ipc',
      '--fork',
      '--kill-child',
    ]
    const words = [...alone, '--', 'sh', '-c', IN_NAMESPACES, 'sh', packages, this.#directory, ...cgroups]
    const daemon = spawn('setpriv', words, {
      cwd: '/',
      env: {...process.env, ...this.#environment},
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    })
    daemon.stderr.on('data', (bytes: Buffer) => {
      this.#complaint = (this.#complaint + bytes.toString()).slice(-COMPLAINT_MAX)
    })
    daemon.on('error', () => undefined)
    this.#context.defer(async () => {
      if (daemon.pid === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return
      const ended = once(daemon, 'exit')
      // The first process of the pid namespace takes all others along, and unshare waits for it.
      const [first] = childrenOf(daemon.pid)
      if (first === undefined) daemon.kill('SIGKILL')
      else process.kill(first, 'SIGKILL')
      await ended
    })
    // Before that, as long as it answers: AppArmor profiles and mounts are the daemon's to remove.
    this.#context.defer(() => {
      try {
        this.#lxc('delete', '--force', CONTAINER)
      } catch {
        // There was none yet.
      }
    })
    return daemon
  }

  async #untilReady(daemon: ChildProcess): Promise<void> {
    const end = Date.now() + START_LIMIT_MS
    for (;;) {
      try {
        this.#lxc('query', '/1.0')
        return
      } catch (error) {
        const isOver = daemon.exitCode !== null || daemon.signalCode !== null
        if (isOver || Date.now() >= end) {
          throw new BenchError(`cannot start LXD: ${this.#complaint.trim()}`, {cause: error})
        }
      }
      await sleep(ASK_AGAIN_MS, undefined, {signal: this.#context.signal})
    }
  }

  #makeContainer(): void {
    const image = join(this.#directory, 'image')
    for (const name of IMAGE_DIRECTORIES) mkdirSync(join(image, 'rootfs', name), {recursive: true})
    copyFileSync(PAUSE, join(image, 'rootfs', 'sbin', 'init'))
    const architecture = execFileSync('uname', ['-m'], {encoding: 'utf8'}).trim()
    writeFileSync(join(image, 'metadata.yaml'), `architecture: ${architecture}\ncreation_date: 1\ntemplates: {}\n`)
    const archive = join(this.#directory, 'image.tar.gz')
    execFileSync('tar', ['-C', image, '-czf', archive, 'metadata.yaml', 'rootfs'])

    this.#lxc('storage', 'create', 'default', 'dir')
    this.#lxc('image', 'import', archive, '--alias', CONTAINER)
    const intercept = ['mknod', 'setxattr'].flatMap((name) => ['-c', `security.syscalls.intercept.${name}=true`])
    this.#lxc('init', CONTAINER, CONTAINER, '-s', 'default', ...intercept, '-c', `raw.lxc=${missingCapabilities()}`)
    this.#lxc('start', CONTAINER)
  }

  #lxc(...words: readonly string[]): string {
    const env = {...process.env, ...this.#environment}
    const options = {env, cwd: '/', encoding: 'utf8', timeout: START_LIMIT_MS} as const
    try {
      return execFileSync(this.#client, words, {...options, stdio: ['ignore', 'pipe', 'pipe']})
    } catch (error) {
      throw new BenchError(`cannot lxc ${words.slice(0, 2).join(' ')}`, {cause: error})
    }
  }
}

function childrenOf(pid: number): readonly number[] {
  return words(readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')).map(Number)
}

/**
 * For raw.lxc. LXD's helper takes the caller's capabilities over as they are, but outside of the container; where root
 * itself was denied one of them capset(2) fails, and the call ends with an errno that does not exist.
 */
function missingCapabilities(): string {
  const last = Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'latin1'))
  const bounding = BigInt(`0x${/^CapBnd:\s*(\S+)/mu.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0'}`)
  const missing = Array.from({length: last + 1}, (_, bit) => bit).filter(
    (bit) => (bounding & (1n << BigInt(bit))) === 0n,
  )
  return missing.length === 0 ? '' : `lxc.cap.drop = ${missing.join(' ')}`
}
