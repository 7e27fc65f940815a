// The one catch: every bundle of the program runs what it does in here.

import {wordsWithBytes} from '../flags/bytes.js'
import type {OclifError} from '../text/failure.js'

/** Runs `act` with the words of the command line, their bytes kept, and words its failure. */
export async function catching(
  argv: readonly string[],
  act: (words: readonly string[]) => Promise<void>,
): Promise<void> {
  const words = wordsWithBytes(argv)
  try {
    await act(words)
  } catch (error) {
    const {isOclifError, report} = await import('../text/failure.js')
    process.exitCode = report(isOclifError(error) ? await worded(error, words[0]) : error, words[0])
  }
}

async function worded(error: OclifError, command: string | undefined): Promise<Error> {
  const {inOwnWords} = await import('../text/oclif-failure.js')
  return inOwnWords(error, command)
}
