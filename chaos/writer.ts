import type { PrimarySource } from '../src/index.ts'
import { runCounterWriter } from './counter-writer.ts'
import type { Gauges } from './gauges.ts'
import { MixedWriter } from './mixed-writer.ts'
import type { WriterReport, WriterSetting } from './writer-setting.ts'

/** One writer from its first update until the round stops, in whatever thread. */
export function runWriter(
  source: PrimarySource,
  setting: WriterSetting,
  gauges: Gauges,
  reopen?: () => PrimarySource
): Promise<WriterReport> {
  if (setting.kind !== 'mixed') return runCounterWriter(source, setting, gauges)
  return new MixedWriter(source, setting, gauges, reopen).run()
}
