// What the log costs the caller: off, to a file as text and as JSON, and to a terminal.

import {join} from 'node:path'

import type {Comparison, Context, Figure} from '../figure.js'
import {alternate} from '../measure.js'
import {Caller, latencyOf, throughputOf} from '../subjects/caller.js'
import type {InterceptorOptions} from '../subjects/caller.js'
import {TERMINAL} from '../subjects/programs.js'

/** More than may wait to be written: else nothing would be measured but the buffers. */
const CALLS = 10_000
const ROUNDS = 12

async function run(context: Context): Promise<readonly Comparison[]> {
  const directory = context.directory()
  const logs = context.directory()
  const start = (options: Pick<InterceptorOptions, 'around' | 'output'>): Caller =>
    Caller.underInterceptor(context, {kind: 'sysinfo', flags: ['--sysinfo'], directory, ...options})
  const off = start({})
  const text = start({output: ['--log-file', join(logs, 'log.txt')]})
  const json = start({output: ['--log-file', join(logs, 'log.json'), '--log-format', 'json']})
  const terminal = start({output: [], around: [TERMINAL]})
  const rounds = await alternate(
    {
      off: () => off.round(1, CALLS),
      text: () => text.round(1, CALLS),
      json: () => json.round(1, CALLS),
      terminal: () => terminal.round(1, CALLS),
    },
    {rounds: context.rounds(ROUNDS), warmUps: 2, signal: context.signal},
  )
  const logged = [
    {what: 'text to a file', of: rounds.text},
    {what: 'JSON to a file', of: rounds.json},
    {what: 'text to a terminal', of: rounds.terminal},
  ]
  return logged.flatMap(({what, of}) => [
    {what: `${what}: latency`, subject: latencyOf(what, of), baseline: latencyOf('no log', rounds.off)},
    {what: `${what}: throughput`, subject: throughputOf(what, of), baseline: throughputOf('no log', rounds.off)},
  ])
}

export const log: Figure = {
  name: 'log',
  title: 'sysinfo with a log / with none (--quiet --trace none)',
  needs: [],
  run,
}
