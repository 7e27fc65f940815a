// What the supervisor holds after very many calls, beside what it holds after few.

import {readFileSync, readdirSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {fileURLToPath} from 'node:url'

import {BenchError} from '../errors.js'
import type {Comparison, Context, Figure, Unit} from '../figure.js'
import {spreadOf} from '../measure.js'
import * as need from '../needs.js'
import {Caller} from '../subjects/caller.js'
import type {Kind} from '../subjects/caller.js'
import {memoryDirectory} from '../subjects/file-systems.js'

const PROBE = fileURLToPath(new URL('../subjects/memory-probe.mjs', import.meta.url))
const CALLS_IN_ROUND = 10_000
const FEW = 10_000
const LOOKS = 5
const LOOK_MS = 300

interface Held {
  readonly resident: number
  readonly heap: number
  readonly descriptors: number
}

/** The median of several looks, since a collection of garbage may lie between two. */
async function look(pid: number, file: string, signal: AbortSignal): Promise<Held> {
  const looks: Held[] = []
  for (let done = 0; done < LOOKS; done++) {
    await sleep(LOOK_MS, undefined, {signal})
    const kibibytes = /^VmRSS:\s+(\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
    if (kibibytes === undefined) throw new BenchError(`cannot read the memory of process ${pid}`)
    const {heapUsed} = JSON.parse(readFileSync(file, 'utf8')) as {readonly heapUsed: number}
    const descriptors = readdirSync(`/proc/${pid}/fd`).length
    looks.push({resident: Number(kibibytes) * 1024, heap: heapUsed, descriptors})
  }
  const median = (of: (held: Held) => number): number => spreadOf(looks.map(of)).median
  return {
    resident: median(({resident}) => resident),
    heap: median(({heap}) => heap),
    descriptors: median(({descriptors}) => descriptors),
  }
}

interface Run {
  readonly few: Held
  /** After a tenth of all: what grows while the program warms up has grown by then. */
  readonly tenth: Held
  readonly many: Held
}

async function measure(context: Context, kind: Kind, total: number): Promise<Run> {
  const directory = memoryDirectory(context)
  const file = join(context.directory(), 'memory.json')
  const caller = Caller.underInterceptor(context, {
    kind,
    flags: ['--mknod', '--sysinfo'],
    // Every line is written, and no disk fills.
    output: ['--log-file', '/dev/null'],
    directory,
    env: {NODE_OPTIONS: `--import=${PROBE}`, BENCH_MEMORY_FILE: file},
  })
  let few: Held | undefined
  let tenth: Held | undefined
  for (let made = 0; made < total; made += CALLS_IN_ROUND) {
    if (made === FEW) few = await look(caller.pid, file, context.signal)
    if (made === total / 10) tenth = await look(caller.pid, file, context.signal)
    await caller.round(1, CALLS_IN_ROUND)
    if ((made / CALLS_IN_ROUND) % 20 === 19) context.say(`${kind}: ${made + CALLS_IN_ROUND} calls`)
  }
  const many = await look(caller.pid, file, context.signal)
  await caller.end()
  return {few: few ?? many, tenth: tenth ?? many, many}
}

async function compare(context: Context, kind: Kind, total: number, repeats: number): Promise<readonly Comparison[]> {
  const runs: Run[] = []
  for (let done = 0; done < repeats; done++) runs.push(await measure(context, kind, total))
  const resident = ({resident: bytes}: Held): number => bytes
  const comparison = (what: string, unit: Unit, of: (held: Held) => number): Comparison => ({
    what: `${kind}: ${what}`,
    subject: {name: `after ${total}`, unit, values: runs.map(({many}) => of(many))},
    baseline: {name: `after ${FEW}`, unit, values: runs.map(({few}) => of(few))},
  })
  const later = {name: `after ${total / 10}`, unit: 'bytes', values: runs.map(({tenth}) => resident(tenth))} as const
  const whole = comparison('resident memory', 'bytes', resident)
  return [
    whole,
    {...whole, baseline: later},
    comparison('heap of the main thread', 'bytes', ({heap}) => heap),
    comparison('descriptors', 'descriptors', ({descriptors}) => descriptors),
  ]
}

async function run(context: Context): Promise<readonly Comparison[]> {
  const repeats = context.isQuick ? 1 : 3
  const [resident, ...rest] = await compare(context, 'mixed', context.isQuick ? 100_000 : 1_000_000, repeats)
  const mknod = await compare(context, 'mknod', context.isQuick ? 30_000 : 100_000, 1)
  const quick = context.isQuick ? '; quick: 100000 calls instead of 1000000' : ''
  const note = `a quarter each handed back, recorded, refused and emulated; the log is written to /dev/null${quick}`
  return [{...resident!, target: {atMost: 1.1}, note}, ...rest, ...mknod]
}

export const memory: Figure = {
  name: 'memory',
  title: 'what the supervisor holds after 1,000,000 intercepted calls / after 10,000',
  needs: [need.root],
  run,
}
