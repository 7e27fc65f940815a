// From nothing to the end of a command that does nothing: what a short job pays.

import type {Comparison, Context, Figure} from '../figure.js'
import {alternate} from '../measure.js'
import {missing, root} from '../needs.js'
import {runtimes} from '../peers/runtimes.js'
import {INTERCEPTOR} from '../subjects/programs.js'
import {secondsOf, timeProgram} from '../subjects/timed.js'
import type {Program} from '../subjects/timed.js'
import {hasOrdinaryUser, ordinaryUser} from '../../test/helpers/ordinary-user.js'

const ROUNDS = 40
const TARGET = {atMost: 2.5}
const OURS = 'interceptor'
const OURS_MKNOD = 'interceptor --mknod'

/** Ourselves with and without an interception, and Node alone. */
function ours(words: readonly string[], place: Omit<Program, 'name' | 'words'>): Record<string, Program> {
  const [node = ''] = words
  const run = [...words, 'run', '--no-config', '--quiet']
  return {
    [OURS]: {...place, name: OURS, words: [...run, '--', 'true']},
    [OURS_MKNOD]: {...place, name: OURS_MKNOD, words: [...run, '--mknod', '--', 'true']},
    'node -e 0': {...place, name: 'node -e 0', words: [node, '-e', '0']},
  }
}

async function time(context: Context, programs: Readonly<Record<string, Program>>) {
  const entries = Object.entries(programs).map(([name, one]) => [name, () => timeProgram(context, one)] as const)
  const {signal} = context
  const values = await alternate(Object.fromEntries(entries), {rounds: context.rounds(ROUNDS), warmUps: 2, signal})
  return (name: string) => secondsOf(name, values[name] ?? [])
}

async function compareWithNode(context: Context, who: string, programs: Record<string, Program>) {
  const series = await time(context, programs)
  const baseline = series('node -e 0')
  const target = TARGET
  return [
    {what: `${who}: run -- true`, subject: series(OURS), baseline, target},
    {what: `${who}: run --mknod -- true`, subject: series(OURS_MKNOD), baseline, target},
  ]
}

async function run(context: Context): Promise<readonly Comparison[]> {
  const own = ours([process.execPath, INTERCEPTOR], {cwd: context.directory()})
  if (missing([root]) !== undefined) return compareWithNode(context, 'rootless', own)
  const comparisons = await compareWithNode(context, 'as root', own)
  if (!hasOrdinaryUser()) {
    context.leaveOut('rootless', 'there is no user interceptor-test (`node scripts/setup.mjs test` makes it)')
    return comparisons
  }
  const {words, home, uid, gid} = ordinaryUser(context.directory())
  const theirs = ours(words, {cwd: home, uid, gid, env: {HOME: home, XDG_RUNTIME_DIR: undefined}})
  return [...comparisons, ...(await compareWithNode(context, 'rootless', theirs))]
}

export const startUp: Figure = {
  name: 'start-up',
  title: 'a container and its command `true` / `node -e 0`',
  needs: [],
  run,
}

async function runBeside(context: Context): Promise<readonly Comparison[]> {
  const others = runtimes(context)
  const programs = ours([process.execPath, INTERCEPTOR], {cwd: context.directory()})
  const series = await time(context, {...programs, ...Object.fromEntries(others.map((one) => [one.name, one]))})
  return others.map(({name, words}) => ({
    what: `beside ${name}`,
    subject: series(OURS),
    baseline: series(name),
    note: words.join(' '),
  }))
}

export const runtimesFigure: Figure = {
  name: 'runtimes',
  title: 'a container and its command `true` / the same by other programs, as root',
  needs: [root],
  run: runBeside,
}
