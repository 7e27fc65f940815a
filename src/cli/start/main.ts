// The whole program: chooses the command. `run` and `exec` start without oclif, whose loading alone takes as long as
// starting Node; every other word goes through it, and so does their help. bin/load.js gives `run` to run.ts
// at once, and comes here for its help.

import {LaunchError, UsageError} from '../../errors.js'
import {nearest} from '../../nearest.js'
import {catching} from './catching.js'

export async function main(argv: readonly string[]): Promise<void> {
  await catching(argv, dispatch)
}

async function dispatch(words: readonly string[]): Promise<void> {
  const [first = '', ...rest] = words
  // With help asked for, these come back and go on to oclif like the others.
  if (first === 'run') {
    const {run} = await import('./run.js')
    await run(rest)
    return dispatchToOclif(['run', '--help'])
  }
  if (first === 'exec') {
    const {startExec} = await import('./start-exec.js')
    await startExec(rest)
    return dispatchToOclif(['exec', '--help'])
  }
  // Of the words behind it one names a command; what follows -- would be a command to run.
  if (first === 'help') return dispatchToOclif([...rest.slice(0, 1), '--help'])
  return dispatchToOclif(words)
}

async function dispatchToOclif(words: readonly string[]): Promise<void> {
  await watchOutput()
  const [first = '--help', ...rest] = words
  if (first === '--version') {
    const {versionText} = await import('../text/package.js')
    process.stdout.write(versionText())
    return
  }
  const {COMMANDS} = await import('../../commands/index.js')
  const names = Object.keys(COMMANDS)
  const command = COMMANDS[first]
  if (command === undefined && first !== '--help' && first !== '-h') throw await unknownCommand(first, names)
  if (command === undefined || asksForHelp(rest)) {
    const {commandHelp, programHelp, widthOf} = await import('../text/help.js')
    const width = widthOf(process.stdout.columns)
    process.stdout.write(command === undefined ? programHelp(COMMANDS, width) : commandHelp(first, command, width))
    return
  }
  const {oclifOptions} = await import('../text/package.js')
  command.id = first
  await command.run(rest, oclifOptions())
}

function asksForHelp(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  return words.slice(0, end === -1 ? words.length : end).some((word) => word === '--help' || word === '-h')
}

async function unknownCommand(word: string, names: readonly string[]): Promise<UsageError> {
  const {flags} = await import('../flags/index.js')
  const meant = nearest(word, names)
  const known = names.length === 0 ? '' : `, commands are ${names.join(', ')}`
  const flag = word.replace(/=.*$/s, '')
  if (word.startsWith('-') && !flags.some(({name, char}) => flag === `--${name}` || flag === `-${char ?? ''}`)) {
    const near = nearest(flag.replace(/^-+/, ''), ['help', 'version'])
    return new UsageError(`unknown flag ${flag}`, {
      hints: [near === undefined || flag.length < 4 ? 'see interceptor --help' : `did you mean --${near}?`],
    })
  }
  if (word.startsWith('-')) {
    return new UsageError(`flags come after the command, and ${word} comes before it`, {
      hints: ['see interceptor --help'],
    })
  }
  return new UsageError(`unknown command ${word}${known}`, {
    hints: [meant === undefined ? 'see interceptor --help' : `did you mean ${meant}?`],
  })
}

/** `interceptor explain | head -1` is no failure; a full disk is one. */
async function watchOutput(): Promise<void> {
  // Loaded before it is needed: oclif's own listener, which comes second, throws.
  const {report} = await import('../text/failure.js')
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0)
    process.exit(report(new LaunchError('cannot write to standard output', {cause: error})))
  })
}
