// interceptor trust: lets a configuration file of a project turn on what it says.

import {resolve} from 'node:path'

import {Args, Command} from '@oclif/core'

import {oclifFlags} from '../cli/flags/oclif.js'
import {parseLine} from '../cli/line/operands.js'
import {trustFile} from '../config/load.js'
import {UsageError} from '../errors.js'
import {configurationKeys} from '../cli/flags/index.js'
import {printable} from '../render/printable.js'

export class Trust extends Command {
  static override readonly summary = 'Trust a configuration file as it is now.'
  static override readonly description =
    'interceptor looks for a configuration file from the current directory upward. A container may have written that ' +
    'file, or it came with a pull request. Until you trust it, it can only narrow a run: interceptor takes limits and ' +
    'output settings from it, and names the rest and leaves it out. Read the file, then trust it. interceptor remembers ' +
    'its content: after a change you have to trust it again. Root uses no file that is found, only one that --config ' +
    'names.'

  static override readonly usage = 'trust FILE...'
  static override readonly strict = false
  static override readonly examples = [
    {description: 'Use the configuration of this project', command: '<%= config.bin %> trust .interceptorrc'},
  ]

  static override readonly flags = oclifFlags('trust')
  static override readonly args = {
    file: Args.string({description: 'configuration files', multiple: true, ignoreStdin: true}),
  }

  override async run(): Promise<void> {
    const {operands} = parseLine(this.argv, 'trust')
    if (operands.length === 0) throw new UsageError('trust needs a file', {hints: ['interceptor trust FILE...']})
    for (const name of operands) {
      const file = resolve(name)
      const keys = await trustFile(file, configurationKeys)
      process.stdout.write(`trusted ${printable(file)}: ${keys.length === 0 ? 'it sets nothing' : keys.join(', ')}\n`)
    }
  }
}
