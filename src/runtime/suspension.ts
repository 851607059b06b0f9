import { TidemarkError } from '../errors.ts'
import { LossError } from '../protocol/conservation.ts'
import { ProtocolError } from '../protocol/setting.ts'

/** What is not conserved is lost, or a bug of ours: either way nothing may go on as if it were there. */
export function suspensionOf(name: string, cause: unknown, volumeNames: readonly string[]): TidemarkError {
  if (cause instanceof LossError) {
    const volumes = cause.volumes.map((volume) => volumeNames[volume] ?? String(volume))
    const where = volumes.length === 0 ? '' : `; volumes that may miss updates: ${volumes.join(', ')}`
    const details = { sets: [...cause.sets], volumes }
    return new TidemarkError('TIDEMARK_DATA_LOSS', `${cause.message}${where}`, details, { cause })
  }
  if (cause instanceof ProtocolError) return new TidemarkError('TIDEMARK_DATA_LOSS', cause.message, {}, { cause })
  if (cause instanceof TidemarkError && cause.code !== 'TIDEMARK_SUSPENDED') return cause
  const said = cause instanceof Error ? `: ${cause.message}` : ''
  const message = `${name} has ended, the group is suspended${said}`
  return new TidemarkError('TIDEMARK_SUSPENDED', message, { name }, { cause })
}
