// The whole job that the program is for, with the packages on the disk: as plain root, under us, and under others.

import {execFileSync} from 'node:child_process'
import {join} from 'node:path'

import type {Comparison, Context, Figure, Need, Target} from '../figure.js'
import {alternate} from '../measure.js'
import {missing, program, root} from '../needs.js'
import {makeMirror} from '../peers/debian-mirror.js'
import type {Mirror} from '../peers/debian-mirror.js'
import {INTERCEPTOR} from '../subjects/programs.js'
import {secondsOf, timeJob} from '../subjects/timed.js'
import type {Program, Timed} from '../subjects/timed.js'
import {hasOrdinaryUser, ordinaryUser} from '../../test/helpers/ordinary-user.js'
import type {OrdinaryUser} from '../../test/helpers/ordinary-user.js'

const ROUNDS = 3
const SUITE = 'bookworm'
const MINBASE = ['--variant=minbase']
/** What the variant fakechroot installs, without its library. */
const STANDARD = ['--include=binutils']
const TREE = 'rootfs'
const FLAGS = ['--mknod', '--sysinfo']
/** debootstrap mounts in its tree; what an interrupted one leaves is gone with the namespace. */
const ALONE = ['unshare', '--mount', '--']
const STRACE = ['strace', '-f', '--seccomp-bpf', '-e', 'trace=mknod,mknodat', '-o', '/dev/null', '--']
const NEEDS = [root, program('debootstrap'), program('wget'), program('xz', 'xz-utils')]
const rootless: Need = () =>
  hasOrdinaryUser() ? undefined : 'there is no user interceptor-test (`node scripts/setup.mjs test` makes it)'

interface Job extends Program {
  readonly target?: Target
  readonly note?: string
}

/** The same job for all: `what` are debootstrap's words. */
class Jobs {
  readonly #context: Context
  readonly #mirror: Mirror
  readonly #words: readonly string[]
  readonly #run: readonly string[]

  constructor(context: Context, what: readonly string[]) {
    this.#context = context
    this.#mirror = makeMirror(context, SUITE, what)
    this.#words = this.debootstrap(...what)
    // A container sees the host's files, but not in every directory.
    const bind = ['--bind', `${this.#mirror.directory}:${this.#mirror.directory}:ro`]
    this.#run = ['run', '--no-config', '--quiet', ...FLAGS, ...bind, '--', ...this.#words]
  }

  debootstrap(...words: readonly string[]): readonly string[] {
    return ['debootstrap', ...words, SUITE, TREE, this.#mirror.url]
  }

  plainly(): Job {
    return {name: 'plain, as root', words: [...ALONE, ...this.#words], cwd: this.#context.directory()}
  }

  privileged(): Job {
    const words = [process.execPath, INTERCEPTOR, ...this.#run]
    const note = `run ${FLAGS.join(' ')} -- ${this.#words.slice(0, -1).join(' ')} MIRROR`
    return {name: 'interceptor, as root', words, cwd: this.#context.directory(), target: {atMost: 1.05}, note}
  }

  rootless(user: OrdinaryUser): Job {
    const words = [...user.words, ...this.#run]
    return {...placeOf(user), name: 'interceptor, rootless', words, target: {atMost: 1.3}}
  }

  strace(): Job {
    const words = [...ALONE, ...STRACE, ...this.#words]
    return {name: 'strace', words, cwd: this.#context.directory(), note: STRACE.slice(0, -1).join(' ')}
  }

  fakechroot(user: OrdinaryUser): Job {
    const words = ['fakechroot', 'fakeroot', ...this.debootstrap('--variant=fakechroot')]
    const note = `${words.slice(0, 4).join(' ')}; the CPU is without that of fakeroot's daemon`
    return {...placeOf(user), name: 'fakechroot', words, note}
  }
}

function placeOf({home, uid, gid}: OrdinaryUser): Pick<Program, 'cwd' | 'env' | 'gid' | 'uid'> {
  return {cwd: home, uid, gid, env: {HOME: home, XDG_RUNTIME_DIR: undefined}}
}

async function time(context: Context, job: Job): Promise<Timed> {
  try {
    return await timeJob(context, job)
  } finally {
    execFileSync('rm', ['-rf', '--one-file-system', join(job.cwd, TREE)])
    // What is still to be written is not for the next one to wait for.
    execFileSync('sync')
  }
}

/** All beside the first. */
async function compare(context: Context, jobs: readonly Job[]): Promise<readonly Comparison[]> {
  // Minutes each, so that a quick look has one round.
  const options = {rounds: context.isQuick ? 1 : ROUNDS, warmUps: 0, signal: context.signal}
  const subjects = jobs.map((job) => [job.name, () => time(context, job)] as const)
  const results = await alternate(Object.fromEntries(subjects), options)
  const series = ({name}: Job, valueOf: (timed: Timed) => number) => secondsOf(name, results[name]!.map(valueOf))
  const clock = (job: Job) => series(job, ({seconds}) => seconds)
  const processor = (job: Job) => series(job, ({userSeconds, systemSeconds}) => userSeconds + systemSeconds)
  const [first, ...others] = jobs
  return [
    ...others.map((job) => ({
      what: job.name,
      subject: clock(job),
      baseline: clock(first!),
      ...(job.target && {target: job.target}),
      ...(job.note !== undefined && {note: job.note}),
    })),
    ...others.map((job) => ({what: `${job.name}: CPU`, subject: processor(job), baseline: processor(first!)})),
  ]
}

async function runMinbase(context: Context): Promise<readonly Comparison[]> {
  const jobs = new Jobs(context, MINBASE)
  const all = [jobs.plainly(), jobs.privileged()]
  const add = (part: string, needs: readonly Need[], job: () => Job): void => {
    const lacking = missing(needs)
    if (lacking === undefined) all.push(job())
    else context.leaveOut(part, lacking)
  }
  add('rootless', [rootless, program('newuidmap', 'uidmap')], () => jobs.rootless(ordinaryUser(context.directory())))
  add('strace', [program('strace')], () => jobs.strace())
  return compare(context, all)
}

export const debootstrap: Figure = {
  name: 'debootstrap',
  title: 'debootstrap --variant=minbase from a local mirror / the same as plain root',
  needs: NEEDS,
  run: runMinbase,
}

/** fakechroot has a variant of its own, so that this is a larger job for all. */
async function runStandard(context: Context): Promise<readonly Comparison[]> {
  const jobs = new Jobs(context, STANDARD)
  const user = ordinaryUser(context.directory())
  return compare(context, [jobs.plainly(), jobs.rootless(user), jobs.fakechroot(user)])
}

export const fakechroot: Figure = {
  name: 'fakechroot',
  title: 'debootstrap by an ordinary user, and in fakechroot and fakeroot / the same packages as plain root',
  needs: [...NEEDS, rootless, program('newuidmap', 'uidmap'), program('fakeroot'), program('fakechroot')],
  run: runStandard,
}
