// interceptor check: what of it will work on this machine, for this user, in this directory.

import {Command} from '@oclif/core'

import {withConfiguration} from '../cli/line/configuration.js'
import {oclifFlags} from '../cli/flags/oclif.js'
import {parseLine} from '../cli/line/operands.js'
import {loadPolicy, toPolicy} from '../cli/line/policy.js'
import {containerOptions} from '../cli/line/container-options.js'
import {explain as flags} from '../cli/flags/explain.js'
import {EXIT, UsageError} from '../errors.js'
import {isOn} from '../flag.js'

export class Check extends Command {
  static override readonly summary = 'Show what works on this machine, for this user, in this directory.'
  static override readonly description =
    'check tries everything: it makes a container, a device node in it, and a cgroup, and removes them again. Each line ' +
    'shows a result and, where something is missing, what would mend it. Then come the families of system calls, each ' +
    'with the strategy that would serve; a family that a flag or the configuration asks for is marked with its flag. ' +
    'check also sets the limits of --memory, --pids and --cpus and takes them back, and validates the configuration ' +
    'file.\n\n' +
    'The exit status is 0 when everything that was asked for works, 1 when something does not, and 2 when the command ' +
    'line or the configuration is wrong.'

  static override readonly usage = 'check [FLAGS]'
  static override readonly examples = [
    {description: 'What works here?', command: '<%= config.bin %> check'},
    {description: 'Can memory be limited here?', command: '<%= config.bin %> check --memory 512M'},
    {
      description: 'Will this build work on a runner of CI?',
      command: '<%= config.bin %> check --mknod --sysinfo --json',
    },
  ]

  static override readonly flags = oclifFlags('check')

  override async run(): Promise<void> {
    const line = parseLine(this.argv, 'check')
    const [operand] = line.operands
    if (operand !== undefined)
      throw new UsageError(`check takes flags alone, not ${operand}`, {hints: ['see interceptor check --help']})
    const {values, file, notes} = await withConfiguration(line.values, 'check')
    const [{concludeCheck, planCheck}, {checkJson, checkText, doTasks}, {styleFor}] = await Promise.all([
      import('../check/check.js'),
      import('../render/checklist.js'),
      import('../render/style.js'),
    ])
    const policy = toPolicy(values, await loadPolicy(values))
    const plan = planCheck({policy, limits: containerOptions(values), configuration: file, notes})
    // A list that is redrawn needs to know how wide the terminal is.
    const isLive = process.stderr.isTTY && process.stderr.columns >= 20 && process.env['TERM'] !== 'dumb'
    const result = concludeCheck(plan, await doTasks(plan, isLive))
    await write(isOn(values, flags.json) ? checkJson(result) : checkText(result, await styleFor(process.stdout.isTTY)))
    process.exitCode = result.lacking.length === 0 ? EXIT.good : EXIT.unavailable
  }
}

function write(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()))
}
