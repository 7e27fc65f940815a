// Texts that are nearly right: samples that were cut, joined, repeated and changed.

import fc from 'fast-check'

const ODD = [
  '"',
  "'",
  '\\',
  '{',
  '}',
  '[',
  ']',
  '(',
  ')',
  ',',
  '=',
  '|',
  '<',
  '>',
  '\n',
  '\t',
  '\0',
  '\x1b',
  '\xff',
  '...',
  '-',
  '0x',
  '*',
  '&a',
  '!!',
  ':',
]

/** One to three of the samples, after up to eight changes. */
export function mutated(samples: readonly string[]): fc.Arbitrary<string> {
  const change = fc.record({
    at: fc.double({min: 0, max: 1, noNaN: true}),
    length: fc.nat({max: 12}),
    what: fc.oneof(
      fc.constantFrom(...ODD),
      fc.constant(''),
      fc.string({maxLength: 6, unit: 'binary'}),
      fc.bigInt({min: -(2n ** 70n), max: 2n ** 70n}).map(String),
      fc.constantFrom(...samples).map((sample) => sample.slice(0, 40)),
    ),
  })
  return fc
    .tuple(fc.array(fc.constantFrom(...samples), {minLength: 1, maxLength: 3}), fc.array(change, {maxLength: 8}))
    .map(([chosen, changes]) =>
      changes.reduce((text, {at, length, what}) => {
        const start = Math.floor(at * text.length)
        return text.slice(0, start) + what + text.slice(start + length)
      }, chosen.join('\n')),
    )
}

/** More runs: INTERCEPTOR_RUNS. */
export const RUNS = Number(process.env['INTERCEPTOR_RUNS'] ?? '2000')
