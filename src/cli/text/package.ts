// What package.json says of us, for --version and for oclif.

import {readFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'

import type {Interfaces} from '@oclif/core'

import {packageFile} from '../../package-files.js'

interface Package {
  readonly name: string
  readonly version: string
}

export function readPackage(): Package {
  return JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as Package
}

export function versionText(): string {
  return `interceptor/${readPackage().version} ${process.platform}-${process.arch} node-${process.version}\n`
}

/** Our commands are given to oclif as they are: it looks for none, for no plugins, and for no sources to transpile. */
export function oclifOptions(): Interfaces.LoadOptions {
  const {name, version} = readPackage()
  const pjson = {name, version, files: [], oclif: {bin: name}} as unknown as Interfaces.PJSON
  return {root: fileURLToPath(packageFile('.')), pjson, devPlugins: false, userPlugins: false, jitPlugins: false}
}
