import './require-node.ts'

export { TidemarkError, type TidemarkErrorCode } from './errors.ts'
export { openGroup } from './group.ts'
export { openSecondary } from './open-secondary.ts'
export { attachSource } from './source.ts'
export type * from './types.ts'
