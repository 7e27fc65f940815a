import assert from 'node:assert/strict'

import {Tally} from '../../../src/render/summary.js'
import {decision, refused} from '../../helpers/decisions.js'

describe('Tally', () => {
  it('shows each call with its counts and latencies, the most frequent first', async () => {
    const tally = new Tally()
    tally.add(decision({latencyUs: 20}))
    tally.add(decision({latencyUs: 30}))
    tally.add(decision({...refused, latencyUs: 10}))
    tally.add(decision({outcome: 'failed', errno: 17, latencyUs: 40}))
    tally.add(decision({syscall: 'mount', outcome: 'continued', latencyUs: 2.25}))
    tally.addQuiet('chmod', 12)
    assert.equal(
      await tally.table(),
      [
        'calls  emulated  refused  failed  continued  quiet  errors  mean us  max us  syscall',
        '   12         0        0       0          0     12       0                   chmod',
        '    4         2        1       1          0      0       2     25.0    40.0  mknodat',
        '    1         0        0       0          1      0       0      2.3     2.3  mount',
        '   17         2        1       1          1     12       2     20.4    40.0  total',
        '',
      ].join('\n'),
    )
    assert.deepEqual(tally.counts, {emulated: 2, refused: 1, failed: 1, continued: 1, quiet: 12})
  })

  it('says that nothing was intercepted', async () => {
    assert.equal(await new Tally().table(), 'no calls were intercepted\n')
  })

  it('keeps a bound on its rows', () => {
    const tally = new Tally()
    for (let index = 0; index < 2000; index++) tally.addQuiet(`call${index}`, 1)
    assert.equal(tally.counts.quiet, 2000)
  })
})
