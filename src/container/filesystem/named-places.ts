// What flags name on the host, opened before anything is planned: objects, whatever their names come to lead to.

import {fstatSync} from 'node:fs'

import {closeQuietly, openat} from '../../ffi/libc.js'
import {AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH} from '../../kernel/constants.js'
import {openNamed, pathOf} from '../../host/open.js'
import {absolute} from '../../host/path-bytes.js'
import {pathOfDescriptor} from '../../intercept/caller/descriptor-path.js'
import type {ContainerOptions} from '../run-options.js'
import {factsOf, type Host} from './host.js'

export class NamedPlaces {
  readonly currentDirectory: Buffer
  readonly #opened = new Map<string, number>()
  #devices: readonly Buffer[] = []

  /** Holds the current directory. */
  constructor() {
    this.currentDirectory = this.#keep(openat(AT_FDCWD, '.', O_PATH | O_DIRECTORY | O_CLOEXEC, 0))
  }

  /**
   * Everything that `container` and --mount-source name.
   *
   * @throws UsageError for what is not there, or lies behind a link that a container may have made
   */
  openAll({rootfs, binds, devices}: ContainerOptions, shown: readonly Buffer[]): void {
    if (rootfs !== undefined) this.open('rootfs', rootfs)
    for (const {source} of binds) this.open('bind', source)
    this.#devices = devices.map(({path}) => this.fileOf(this.open('device', path)))
    for (const path of shown) this.open('mount-source', path)
  }

  /** Path without links of what `path` leads to now, absolute or below the current directory. */
  open(flag: string, path: Buffer): Buffer {
    return this.#keep(openNamed(flag, absolute(path, this.currentDirectory)))
  }

  /** For node:fs: the nodes of --device. */
  get devices(): readonly Buffer[] {
    return this.#devices
  }

  /** Descriptors by path without links, one character for each byte. */
  get descriptors(): ReadonlyMap<string, number> {
    return this.#opened
  }

  /** `host`, but that what was opened is looked at by its descriptor. */
  over(host: Host): Host {
    return {
      ...host,
      lstat: (path) => {
        const fd = this.#opened.get(path.toString('latin1'))
        return fd === undefined ? host.lstat(path) : factsOf(fstatSync(fd, {bigint: true}))
      },
    }
  }

  /** For node:fs: the object that was opened under the path without links `path`. */
  fileOf(path: Buffer): Buffer {
    const fd = this.#opened.get(path.toString('latin1'))
    return fd === undefined ? path : pathOf(fd)
  }

  close(): void {
    for (const fd of this.#opened.values()) closeQuietly(fd)
    this.#opened.clear()
  }

  #keep(fd: number): Buffer {
    const path = pathOfDescriptor(fd)
    const key = path.toString('latin1')
    if (this.#opened.has(key)) closeQuietly(fd)
    else this.#opened.set(key, fd)
    return path
  }
}
