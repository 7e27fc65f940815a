// interceptor trust: lets a configuration file of a project turn on what it says.

import {resolve} from 'node:path'

import {Args, Command} from '@oclif/core'

import {oclifFlags} from '../cli/flags/oclif.js'
import {trustFile} from '../config/load.js'
import {UsageError} from '../errors.js'
import {configurationKeys} from '../cli/flags/index.js'
import {printable} from '../render/printable.js'

export class Trust extends Command {
  static override readonly summary = 'Trust a configuration file as it is now.'
  static override readonly description =
    'A configuration file that is found from the current directory upward may have been written by a container, or come ' +
    'with a pull request. Until it is trusted it can only narrow a run: limits and what is shown are taken from it, and ' +
    'all else is named and left out. Look at the file, then trust it: its content is remembered, so that a later change ' +
    'has to be trusted again. Root uses no file that is found, and names one with --config.'

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
    const {argv} = await this.parse(Trust)
    if (argv.length === 0) throw new UsageError('trust needs a file', {hints: ['interceptor trust FILE...']})
    for (const name of argv as string[]) {
      const file = resolve(name)
      const keys = await trustFile(file, configurationKeys)
      process.stdout.write(`trusted ${printable(file)}: ${keys.length === 0 ? 'it sets nothing' : keys.join(', ')}\n`)
    }
  }
}
