// The commands that exist. oclif takes this table as it is (package.json, oclif.commands).

import type {Command} from '@oclif/core'

import {Explain} from './explain.js'
import {Run} from './run.js'

export const COMMANDS: Readonly<Record<string, Command.Class>> = {explain: Explain, run: Run}
