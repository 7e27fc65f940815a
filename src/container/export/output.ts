// Where an archive goes: a file that appears when it is whole, or a stream that is written as it comes.

import {randomBytes} from 'node:crypto'
import {accessSync, closeSync, constants, fstatSync, openSync, renameSync, unlinkSync, writeSync} from 'node:fs'

import {LaunchError, UsageError} from '../../errors.js'
import {linkat, poll} from '../../ffi/libc.js'
import {isTerminal} from '../../ffi/terminal.js'
import {openNamedFile, pathOf} from '../../host/open.js'
import {display} from '../../host/path-bytes.js'
import {isIn} from '../../host/system-directories.js'
import {pathOfDescriptor} from '../../intercept/caller/descriptor-path.js'
import {AT_FDCWD, AT_SYMLINK_FOLLOW, O_TMPFILE, POLLOUT} from '../../kernel/constants.js'

const STANDARD_OUTPUT = 1
const CHUNK = 256 * 1024
/** open(2): with the bit of O_DIRECTORY, so that old kernels refuse it. */

/** A regular file is written beside its place, in a directory that was opened before the container could move it. */
interface Place {
  readonly directory: number
  readonly name: Buffer
  readonly temporary: Buffer
}

export class ExportOutput {
  readonly shown: string
  readonly #place: Place | undefined
  #fd: number
  readonly #buffer = Buffer.allocUnsafe(CHUNK)
  #filled = 0
  #written = 0
  #isNamed = false

  private constructor(shown: string, fd: number, place?: Place) {
    this.shown = shown
    this.#fd = fd
    this.#place = place
  }

  /** `-` is standard output. Before anything is launched, so that a mistake costs no build. */
  static open(target: Buffer): ExportOutput {
    if (target.equals(Buffer.from('-'))) {
      if (!isTerminal(STANDARD_OUTPUT)) return new ExportOutput('standard output', STANDARD_OUTPUT)
      throw new UsageError('cannot export to standard output: it is a terminal', {
        hints: ['name a file: --export FILE.tar', 'or redirect: interceptor run --export - ... > FILE.tar'],
      })
    }
    const shown = display(target)
    const {directory, existing, name} = openNamedFile('export', target)
    try {
      if (existing !== undefined && !fstatSync(existing).isFile()) return ExportOutput.#stream(shown, existing)
      accessSync(pathOf(directory), constants.W_OK)
      return new ExportOutput(shown, -1, {
        directory: openSync(pathOf(directory), constants.O_RDONLY | constants.O_DIRECTORY),
        name,
        temporary: Buffer.from(`.interceptor-${randomBytes(8).toString('hex')}`),
      })
    } catch (cause) {
      if (cause instanceof UsageError) throw cause
      throw new LaunchError(`cannot export to ${shown}`, {cause})
    } finally {
      closeSync(directory)
      if (existing !== undefined) closeSync(existing)
    }
  }

  /** A FIFO, or a device that was named where devices are: a node elsewhere may be one that a container made. */
  static #stream(shown: string, existing: number): ExportOutput {
    const stats = fstatSync(existing)
    if (stats.isDirectory()) throw new UsageError(`cannot export to ${shown}: it is a directory`)
    if ((stats.isBlockDevice() || stats.isCharacterDevice()) && !isIn(pathOfDescriptor(existing), '/dev')) {
      throw new UsageError(`cannot export to ${shown}: it is a device node outside /dev`, {
        hints: ['name the node in /dev, if the archive is to overwrite the device'],
      })
    }
    // Opening a FIFO would wait for a reader; without one this is ENXIO (fifo(7)).
    return new ExportOutput(shown, openSync(pathOf(existing), constants.O_WRONLY | constants.O_NONBLOCK))
  }

  /** Bytes that were given so far. */
  get written(): number {
    return this.#written
  }

  /** What must not become part of the archive. */
  begin(): {readonly dev: bigint; readonly ino: bigint} {
    const place = this.#place
    if (place !== undefined) this.#fd = this.#do(() => openNameless(place) ?? openNamed(place))
    this.#isNamed = place !== undefined && fstatSync(this.#fd).nlink > 0
    return fstatSync(this.#fd, {bigint: true})
  }

  write(bytes: Buffer): void {
    this.#written += bytes.length
    if (this.#filled + bytes.length > CHUNK) this.#flush()
    if (bytes.length > CHUNK) {
      this.#writeAll(bytes)
      return
    }
    bytes.copy(this.#buffer, this.#filled)
    this.#filled += bytes.length
  }

  /** All of it is there: a file takes its name. A link that stands at that name is replaced, not followed. */
  finish(): void {
    this.#flush()
    const place = this.#place
    if (place === undefined) return
    this.#do(() => {
      if (!this.#isNamed)
        linkat(AT_FDCWD, `/proc/self/fd/${this.#fd}`, place.directory, place.temporary, AT_SYMLINK_FOLLOW)
      this.#isNamed = true
      renameSync(at(place, place.temporary), at(place, place.name))
    })
  }

  /** Also after a failure: nothing is left of a file that did not become whole. */
  close(isWhole: boolean): void {
    if (this.#place === undefined) return
    if (this.#fd !== -1) {
      closeSync(this.#fd)
      if (!isWhole && this.#isNamed) unlinkSync(at(this.#place, this.#place.temporary))
    }
    closeSync(this.#place.directory)
  }

  #flush(): void {
    const filled = this.#filled
    this.#filled = 0
    this.#writeAll(this.#buffer.subarray(0, filled))
  }

  #writeAll(bytes: Buffer): void {
    for (let rest = bytes; rest.length > 0;) {
      try {
        rest = rest.subarray(writeSync(this.#fd, rest))
      } catch (cause) {
        // Somebody else made the description non-blocking and its reader is slow.
        if ((cause as NodeJS.ErrnoException).code !== 'EAGAIN')
          throw new LaunchError(`cannot export to ${this.shown}`, {cause})
        poll(new Int32Array([this.#fd, POLLOUT]), 1, 1000)
      }
    }
  }

  #do<T>(action: () => T): T {
    try {
      return action()
    } catch (cause) {
      throw new LaunchError(`cannot export to ${this.shown}`, {cause})
    }
  }
}

/** Without a name until it is whole: nothing is left of it when we are ended. undefined where that can't be had. */
function openNameless({directory}: Place): number | undefined {
  try {
    return openSync(`/proc/self/fd/${directory}/.`, O_TMPFILE | constants.O_WRONLY, 0o644)
  } catch {
    return undefined
  }
}

function openNamed(place: Place): number {
  const {O_CREAT, O_EXCL, O_WRONLY} = constants
  return openSync(at(place, place.temporary), O_WRONLY | O_CREAT | O_EXCL, 0o644)
}

function at({directory}: Place, name: Buffer): Buffer {
  return pathOf(directory, name)
}
