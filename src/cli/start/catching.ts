// The one catch: every bundle of the program runs what it does in here.

import {wordsWithBytes} from '../flags/bytes.js'

/** Runs `act` with the words of the command line, their bytes kept, and words its failure. */
export async function catching(
  argv: readonly string[],
  act: (words: readonly string[]) => Promise<void>,
): Promise<void> {
  const words = wordsWithBytes(argv)
  try {
    await act(words)
  } catch (error) {
    const {report} = await import('../text/failure.js')
    process.exitCode = report(error, words[0])
  }
}
