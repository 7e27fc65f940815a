// Tests that can't run on this machine are pending, and their titles say why.

import type {Suite} from 'mocha'

import {hasHelper, hasProgram, isRoot} from './program.js'

/** In a describe callback: leaves the whole suite pending where the condition does not hold. */
export function skipUnless(condition: boolean, reason: string): void {
  if (condition) return
  before(function () {
    const suite = this.test?.parent
    if (suite !== undefined) markPending(suite, reason)
    this.skip()
  })
}

/** In an `it` or `before` callback: `skipTestUnless(this, ...)`; in `before` it means the whole suite. */
export function skipTestUnless(context: Mocha.Context, condition: boolean, reason: string): void {
  if (condition) return
  const {test} = context
  if (test?.parent !== undefined && !test.parent.tests.some((own) => own === test)) markPending(test.parent, reason)
  else if (test !== undefined) test.title += ` [pending: ${reason}]`
  context.skip()
}

export function skipUnlessRoot(): void {
  skipUnless(isRoot(), 'needs root')
}

/** For suites that make real containers as root. */
export function skipUnlessPrivileged(): void {
  skipUnless(isRoot(), 'needs root')
  skipUnless(hasHelper(), 'the native helper is not built')
}

/** For suites of ordinary users that make real containers. */
export function skipUnlessRootless(): void {
  skipUnless(!isRoot(), 'is for ordinary users')
  skipUnless(hasHelper(), 'the native helper is not built')
}

export function skipUnlessPrograms(...names: readonly string[]): void {
  const missing = names.filter((name) => !hasProgram(name))
  skipUnless(missing.length === 0, `${missing.join(', ')} not installed`)
}

function markPending(suite: Suite, reason: string): void {
  for (const test of suite.tests) test.title += ` [pending: ${reason}]`
  for (const child of suite.suites) markPending(child, reason)
}
