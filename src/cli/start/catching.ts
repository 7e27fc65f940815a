// The one catch: every bundle of the program runs what it does in here.

import {wordsWithBytes} from '../flags/bytes.js'

/** Runs `act` with the words of the command line, their bytes kept, and words its failure. */
export async function catching(
  argv: readonly string[],
  act: (words: readonly string[]) => Promise<void>,
): Promise<void> {
  const words = wordsWithBytes(argv)
  process.once('uncaughtException', (error) => void endByBug(error, words[0]))
  try {
    await act(words)
  } catch (error) {
    const {report} = await import('../text/failure.js')
    process.exitCode = report(error, words[0])
  }
}

/**
 * Of an event that nobody waited for. Nothing is supervised any more, and Node's own end would wait for worker threads, of
 * which one may be in a call that the container never lets end: the container would go on as long.
 */
async function endByBug(error: unknown, command: string | undefined): Promise<never> {
  const [{report}, {exitNow}] = await Promise.all([import('../text/failure.js'), import('../../ffi/self.js')])
  return exitNow(report(error, command))
}
