// interceptor explain: what would be intercepted, and what would be answered to a call, without running anything.

import {Args, Command} from '@oclif/core'

import {toBytes} from '../cli/flags/bytes.js'
import {explain as flags} from '../cli/flags/explain.js'
import {oclifFlags} from '../cli/flags/oclif.js'
import {output} from '../cli/flags/output.js'
import {withConfiguration} from '../cli/line/configuration.js'
import type {Configured} from '../cli/line/configuration.js'
import {adviserFor} from '../cli/line/explain-flags.js'
import {parseLine} from '../cli/line/operands.js'
import {loadPolicy} from '../cli/line/policy.js'
import {containerOptions} from '../cli/line/container-options.js'
import {chooseIdMaps} from '../container/userns/idmap.js'
import {isPrivileged, ownPrivileges} from '../container/userns/privileges.js'
import {mapsToEnter} from '../container/userns/reexecute.js'
import {EXIT, UsageError} from '../errors.js'
import type {Adviser} from '../explain/advise.js'
import {explain} from '../explain/explain.js'
import type {ExplainRequest, Finding} from '../explain/explain.js'
import {callerOf} from '../explain/judge.js'
import {isOn, valueOf} from '../flag.js'
import type {FlagValues} from '../flag.js'
import {revealSecrets} from '../intercept/caller/secrets.js'
import type {Policy} from '../intercept/policy.js'
import {MACHINE_ABIS} from '../kernel/abi.js'
import {nearest} from '../nearest.js'
import {printable} from '../render/printable.js'

export class Explain extends Command {
  static override readonly summary = 'Show what would be intercepted, and what would be answered to a call.'
  static override readonly description =
    'Without CALL, explain lists the families of system calls; for those that flags turn on, it shows their conditions, ' +
    'policy, strategies and cost. For each CALL it shows what the filter and the policy of `run` with the same flags ' +
    'answer, and the flag that would change the answer. The caller is the first process of that run: root of the ' +
    'container, or the user that the configuration names. explain runs no command and asks the kernel nothing; it only ' +
    'loads the modules of --handler.\n\n' +
    'The exit status is 0 when no call would be refused, 1 when one would, and 2 when the command line is wrong. With ' +
    '--strict it is 3 when no call would be refused but one could not be judged.'

  static override readonly usage = 'explain [FLAGS] [CALL...]'
  static override readonly strict = false
  static override readonly examples = [
    {
      description: 'Would this device node be made, and if not, what would it need?',
      command: '<%= config.bin %> explain --mknod \'mknodat(AT_FDCWD, "/dev/sda", S_IFBLK|0660, makedev(8, 0))\'',
    },
    {
      description: 'What would a build that was traced as root need?',
      command: '<%= config.bin %> explain --strace build.trace',
    },
    {description: 'List the compiled filters', command: '<%= config.bin %> explain --mknod --sysinfo --filter'},
  ]

  static override readonly flags = oclifFlags('explain')
  static override readonly args = {
    call: Args.string({description: "system calls in strace's notation", ignoreStdin: true, multiple: true}),
  }

  override async run(): Promise<void> {
    // The value of --filter may be left out.
    const words = this.argv.map((word) => (word === '--filter' ? '--filter=listing' : word))
    const line = parseLine(words, 'explain')
    const configured = await withConfiguration(line.values, 'explain')
    const {values} = configured
    for (const note of configured.notes) process.stderr.write(`interceptor: ${printable(note)}\n`)
    const calls = line.operands.map((word) => toBytes(word).toString('latin1'))
    if (isOn(values, output.showSecrets)) revealSecrets()
    const request = requestOf(values, calls)
    const loaded = await loadPolicy(values)
    const finding = await explain(request, {
      adviser: adviserOf(configured, loaded),
      write: (data) => new Promise((resolve) => process.stdout.write(data, () => resolve())),
      nearest,
    })
    process.exitCode = exitOf(finding, isOn(values, flags.strict))
  }
}

function exitOf(finding: Finding, isStrict: boolean): number {
  if (finding === 'refused') return EXIT.unavailable
  return finding === 'unjudged' && isStrict ? EXIT.unjudged : EXIT.good
}

/** For a run of these values, here and by this user. Throws the UsageError that the run would end with, if any. */
function adviserOf({values, denied, idMap}: Configured, loaded: Policy): Adviser {
  const privileges = ownPrivileges()
  const rootless = !isPrivileged(privileges)
  const container = containerOptions(values)
  const adviser = adviserFor(values, {rootless, denied, caller: callerOf(container.user)}, loaded)
  // In the order in which run comes to them: the policy, then the ids.
  adviser.withFlags([])
  chooseIdMaps({rootless, given: container, raw: idMap, own: () => mapsToEnter(privileges)})
  return adviser
}

function requestOf(values: FlagValues, calls: readonly string[]): ExplainRequest {
  const [strace, log] = [valueOf(values, flags.strace), valueOf(values, flags.log)]
  const filter = valueOf(values, flags.filter)
  const asked = [
    ...(filter === undefined ? [] : ['--filter']),
    ...(strace === undefined ? [] : ['--strace']),
    ...(log === undefined ? [] : ['--log']),
    ...(calls.length === 0 ? [] : ['a call']),
  ]
  if (asked.length > 1) {
    const isForm = filter !== undefined && calls.length > 0
    throw new UsageError(`explain takes one of ${asked.join(' and ')}, not both`, {
      hints: isForm ? [`a form of the filter is joined by =, as --filter=${calls[0] ?? ''}`] : [],
    })
  }
  const abis = MACHINE_ABIS
  const abi = valueOf(values, flags.abi) ?? abis[0]
  if (abi === undefined || !abis.includes(abi)) {
    throw new UsageError(`this machine has no calls of ${abi ?? process.arch}`, {
      hints: abis.length === 0 ? [] : [`it has those of ${abis.join(', ')}`],
    })
  }
  const file =
    strace !== undefined
      ? {format: 'strace' as const, path: strace}
      : log !== undefined
        ? {format: 'log' as const, path: log}
        : undefined
  return {calls, filter, file, json: isOn(values, flags.json), abi}
}
