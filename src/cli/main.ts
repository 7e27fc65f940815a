// The program: chooses the command, and catches what it throws. `run` and `exec` start without oclif, whose loading
// alone takes as long as starting Node; every other word goes through it, and so does their help.

import {enterUserNamespace} from '../container/reexecute.js'
import {UsageError} from '../errors.js'
import {wordsWithBytes} from './bytes.js'
import {nearest} from './suggest.js'

export async function main(argv: readonly string[]): Promise<void> {
  const words = wordsWithBytes(argv)
  try {
    await dispatch(words)
  } catch (error) {
    const {report} = await import('./report.js')
    process.exitCode = report(error, words[0])
  }
}

async function dispatch(words: readonly string[]): Promise<void> {
  const [first = '', ...rest] = words
  // With help asked for, these come back and go on to oclif like the others.
  if (first === 'run') {
    const entry = await enterUserNamespace()
    const [{startRun}, {loadRunService}] = await Promise.all([import('./start.js'), import('./services.js')])
    await startRun(rest, entry, loadRunService)
    return dispatchToOclif(['run', '--help'])
  }
  if (first === 'exec') {
    const {startExec} = await import('./start-exec.js')
    await startExec(rest)
    return dispatchToOclif(['exec', '--help'])
  }
  if (first === 'help') return dispatchToOclif([...rest, '--help'])
  return dispatchToOclif(words)
}

async function dispatchToOclif(words: readonly string[]): Promise<void> {
  endQuietlyOnClosedPipe()
  const [{flush, run}, {COMMANDS}] = await Promise.all([import('@oclif/core'), import('../commands/index.js')])
  const [first = ''] = words
  const names = Object.keys(COMMANDS)
  if (first !== '' && !first.startsWith('-') && !names.includes(first)) throw unknownCommand(first, names)
  if (first.startsWith('-') && !['--help', '--version', '-h'].includes(first)) throw unknownCommand(first, names)
  await run(first === '-h' ? ['--help'] : [...words], import.meta.url)
  await flush()
}

function unknownCommand(word: string, names: readonly string[]): UsageError {
  const meant = nearest(word, names)
  const known = names.length === 0 ? '' : `, commands are ${names.join(', ')}`
  if (word.startsWith('-')) {
    return new UsageError(`flags come after the command, and ${word} comes before it`, {
      hints: ['see interceptor --help'],
    })
  }
  return new UsageError(`unknown command ${word}${known}`, {
    hints: [meant === undefined ? 'see interceptor --help' : `did you mean ${meant}?`],
  })
}

/** `interceptor explain | head -1` is no failure. */
function endQuietlyOnClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0)
    throw error
  })
}
