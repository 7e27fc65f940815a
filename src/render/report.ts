// Everything that a run tells: owns the log, the counters, the manifest and the last words.

import {closeSync, constants, writeSync} from 'node:fs'
import type {FileHandle} from 'node:fs/promises'
import {open} from 'node:fs/promises'

import type {OutputOptions, Reporter, RunEnd, StartSummary} from '../container/run-options.js'
import {EXIT, LaunchError} from '../errors.js'
import {openNamedFile, pathOf} from '../host/open.js'
import {revealSecrets} from '../intercept/caller/secrets.js'
import {isTold} from '../intercept/decision.js'
import type {Decision, DecisionBatch, Outcome, Wanted} from '../intercept/decision.js'
import type {ManifestEntry} from '../intercept/family.js'
import {closingLines, rememberedMax} from './closing.js'
import {decisionLine, exitRecord, jsonLine, noteRecord, startRecord} from './json.js'
import {Inventory, ManifestFile, manifestText} from './manifest.js'
import {printable} from './printable.js'
import {hasCode, Sink} from './sink.js'
import type {Style} from './style.js'
import {plainStyle, styleFor} from './style.js'
import type {Counts} from './summary.js'
import {Tally} from './summary.js'
import type {Vocabulary} from './trace.js'
import {traceLine} from './trace.js'

export interface ReportOptions {
  readonly output: OutputOptions
  /** Words of the command line, see RunOptions. */
  readonly words: readonly Buffer[]
  readonly vocabulary: Vocabulary
  /** Whether the terminal at a descriptor is raw now. */
  readonly isRaw: (fd: number) => boolean
  readonly isTerminal: (fd: number) => boolean
  /** Whether a short line can be written there without waiting. */
  readonly isReady: (fd: number) => boolean
  readonly now?: () => number
}

const standardError = 2

const outcomesOf: Readonly<Record<OutputOptions['trace'], readonly Outcome[]>> = {
  all: ['continued', 'emulated', 'failed', 'refused'],
  refused: ['failed', 'refused'],
  none: [],
}

interface Parts {
  readonly log: Sink
  readonly logFile: FileHandle | undefined
  /** The same sink as `log` without --log-file. */
  readonly terminal: Sink
  readonly manifest: ManifestFile | undefined
  readonly style: Style
}

/** Opens the log and the manifest's directory before anything is launched. Throws LaunchError. */
export async function openReport(options: ReportOptions): Promise<RunReport> {
  const {logFile, manifest, showSecrets} = options.output
  if (showSecrets) revealSecrets()
  const terminal = new Sink({fd: standardError, name: 'standard error', isRaw: options.isRaw})
  const file = logFile === undefined ? undefined : await openLog(logFile)
  try {
    return new RunReport(options, {
      terminal,
      log:
        file === undefined ? terminal : new Sink({fd: file.fd, name: printable(String(logFile)), isRaw: options.isRaw}),
      logFile: file,
      manifest: manifest === undefined ? undefined : await ManifestFile.open(manifest),
      style: file === undefined ? await styleFor(options.isTerminal(standardError)) : plainStyle,
    })
  } catch (error) {
    await file?.close()
    throw error
  }
}

export class RunReport implements Reporter {
  readonly #options: ReportOptions
  readonly #parts: Parts
  readonly #now: () => number
  readonly #tally = new Tally()
  readonly #inventory = new Inventory()
  readonly #refused: Decision[] = []
  /** Notes from before the start record, for a stream of records. */
  readonly #early: string[] = []
  /** Outcomes that have a line in the log. */
  readonly #shown: ReadonlySet<Outcome>
  #hasStarted = false
  #sequence = 0

  constructor(options: ReportOptions, parts: Parts) {
    this.#options = options
    this.#parts = parts
    this.#now = options.now ?? Date.now
    this.#shown = new Set(this.#logs ? outcomesOf[options.output.trace] : [])
  }

  get wanted(): Wanted {
    // The last words name what was refused.
    const remembered: readonly Outcome[] = this.#options.output.quiet ? [] : ['refused']
    return {outcomes: [...new Set([...this.#shown, ...remembered])], created: this.#parts.manifest !== undefined}
  }

  get counts(): Counts {
    return this.#tally.counts
  }

  async start(summary: StartSummary): Promise<void> {
    const timeMs = this.#now()
    // Behind the start, so with its time: readers may count on an order of time.
    const notes = this.#early.splice(0).map((text) => jsonLine(noteRecord(text, timeMs)))
    this.#hasStarted = true
    if (this.#isJson && this.#logs) await this.#parts.log.write(jsonLine(startRecord(summary, timeMs)) + notes.join(''))
  }

  async batch({decisions, silent}: DecisionBatch): Promise<void> {
    const lines: string[] = []
    for (const decision of decisions) {
      this.#sequence += 1
      this.#tally.add(decision)
      if (!isTold(decision)) continue
      if (decision.created !== undefined && this.#parts.manifest !== undefined) this.#inventory.add(decision.created)
      if (decision.outcome === 'refused') this.#remember(decision)
      if (this.#shown.has(decision.outcome)) lines.push(this.#line(decision))
    }
    for (const [syscall, count] of Object.entries(silent)) this.#tally.addQuiet(syscall, count)
    if (lines.length > 0) await this.#parts.log.write(lines.join(''))
  }

  found(entries: readonly ManifestEntry[]): void {
    if (this.#parts.manifest !== undefined) for (const entry of entries) this.#inventory.add(entry)
  }

  async note(text: string): Promise<void> {
    if (this.#options.output.quiet) return
    // The first record is the start's.
    if (this.#jsonOnTerminal && !this.#hasStarted) this.#early.push(text)
    else if (this.#jsonOnTerminal) await this.#parts.terminal.write(jsonLine(noteRecord(text, this.#now())))
    else await this.#parts.terminal.write(`interceptor: ${printable(text)}\n`)
  }

  get written(): number {
    const {log, terminal} = this.#parts
    return log.written + (terminal === log ? 0 : terminal.written)
  }

  giveUp(): void {
    const {log, terminal} = this.#parts
    if (!log.isBehind || terminal.isBehind || !this.#options.isReady(standardError)) return
    writeSync(standardError, 'interceptor: the log is not complete: nobody reads it\n')
  }

  async end(end: RunEnd): Promise<RunEnd> {
    try {
      await this.#lastWords(end)
    } finally {
      await this.#parts.logFile?.close()
    }
    await this.#writeManifest()
    const refused = this.#options.output.failOnRefused && this.counts.refused > 0
    return refused && end.kind === 'exited' && end.status === 0 ? {kind: 'exited', status: EXIT.refused} : end
  }

  async #writeManifest(): Promise<void> {
    const {manifest} = this.#parts
    if (manifest === undefined) return
    const {entries, leftOut} = this.#inventory
    await manifest.replace(manifestText(entries, leftOut))
    if (leftOut > 0) throw new LaunchError(`the manifest is not complete: it had no room for ${leftOut} more objects`)
  }

  async #lastWords(end: RunEnd): Promise<void> {
    const {quiet, summary} = this.#options.output
    const timeMs = this.#now()
    const {vocabulary, words} = this.#options
    const closing = closingLines({end, refused: this.#refused, timeMs, words, vocabulary})
    if (summary && !quiet) await this.#say(await this.#tally.table(), timeMs)
    if (!quiet) await this.#say(closing, timeMs)
    if (this.#isJson && this.#logs) {
      await this.#parts.log.write(jsonLine(exitRecord(end, this.counts, timeMs))).catch(passClosedPipe)
    }
    await this.#parts.log.flush().catch(passClosedPipe)
  }

  /** On the terminal; as a record where it would stand between JSON lines. */
  async #say(text: string, timeMs: number): Promise<void> {
    if (text === '') return
    const shown = this.#jsonOnTerminal ? jsonLine(noteRecord(text.trimEnd(), timeMs)) : text
    await this.#parts.terminal.write(shown).catch(passClosedPipe)
  }

  get #isJson(): boolean {
    return this.#options.output.logFormat === 'json'
  }

  /** --quiet silences standard error, not a file. */
  get #logs(): boolean {
    return this.#parts.logFile !== undefined || !this.#options.output.quiet
  }

  get #jsonOnTerminal(): boolean {
    return this.#isJson && this.#parts.logFile === undefined
  }

  #line(decision: Decision): string {
    const {vocabulary} = this.#options
    return this.#isJson
      ? decisionLine(decision, this.#sequence, vocabulary)
      : traceLine(decision, vocabulary, this.#parts.style)
  }

  #remember(decision: Decision): void {
    this.#refused.push(decision)
    if (this.#refused.length > rememberedMax) this.#refused.shift()
  }
}

/** Appending: two descriptors of one file, or a truncation by somebody else, leave no holes. */
async function openLog(path: Buffer): Promise<FileHandle> {
  const {O_APPEND, O_CREAT, O_EXCL, O_NONBLOCK, O_TRUNC, O_WRONLY} = constants
  const {directory, existing, name} = openNamedFile('log-file', path)
  try {
    if (existing === undefined) {
      return await open(pathOf(directory, name), O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0o644)
    }
    // Opening a FIFO would wait for a reader; without one this is ENXIO (fifo(7)).
    return await open(pathOf(existing), O_WRONLY | O_TRUNC | O_APPEND | O_NONBLOCK)
  } catch (cause) {
    const hints = hasCode(cause, 'ENXIO') ? ['nobody reads from it: start the reader first, or name a file'] : []
    throw new LaunchError(`cannot write the log ${printable(path.toString())}`, {cause, hints})
  } finally {
    closeSync(directory)
    if (existing !== undefined) closeSync(existing)
  }
}

/** At the end nobody may be reading any more, and the command is done: only its status is left to tell. */
function passClosedPipe(error: unknown): void {
  if (!(error instanceof Error && hasCode(error.cause, 'EPIPE'))) throw error
}
