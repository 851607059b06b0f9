/**
 * The colours of the page and its charts. A chart is drawn once, in the light ones; in dark the style sheet puts the other
 * one of each pair in their place, by the colour that is written in the SVG. So a chart must use no others, and no two
 * roles may have the same light colour.
 */
export const PALETTE = {
  text: { light: '#24292f', dark: '#dfe3e8' },
  quiet: { light: '#5f666d', dark: '#9aa2ab' },
  line: { light: '#dcdfe3', dark: '#363b42' },
  page: { light: '#ffffff', dark: '#121417' },
  panel: { light: '#f7f8f9', dark: '#1a1d21' },
  missed: { light: '#a8321c', dark: '#f08f78' },
  wanted: { light: '#c22a5c', dark: '#f286a8' },
  // What is measured has the same colour in every chart. Told apart by those who see no red or no green, too.
  tidemark: { light: '#1b62ad', dark: '#6cb0f5' },
  bare: { light: '#767c83', dark: '#a9b0b8' },
  postMessage: { light: '#b8560b', dark: '#f0a45a' },
  ringbuf: { light: '#2a8064', dark: '#5cc9a3' },
  // Sizes of updates, steps of a failover: one thing in several steps, from early to late.
  first: { light: '#d08a1d', dark: '#e8b04f' },
  second: { light: '#2f8f8b', dark: '#57c4bf' },
  third: { light: '#3c4fa0', dark: '#93a4f2' },
  fourth: { light: '#8c3d7a', dark: '#dc8fcb' }
} as const

export type Colour = keyof typeof PALETTE

export const SEQUENCE = ['first', 'second', 'third', 'fourth'] as const satisfies readonly Colour[]

/** The colour as a chart is drawn in. */
export function drawn(colour: Colour): string {
  return PALETTE[colour].light
}

export function paletteStyle(): string {
  const colours = Object.entries(PALETTE)
  const light = colours.map(([name, pair]) => `--${name}: ${pair.light};`)
  const dark = colours.map(([name, pair]) => `--${name}: ${pair.dark};`)
  const charts = colours.flatMap(([name, pair]) =>
    ['fill', 'stroke'].map((attribute) => `svg [${attribute}="${pair.light}"] { ${attribute}: var(--${name}); }`)
  )
  return [
    `:root { color-scheme: light dark; ${light.join(' ')} }`,
    `@media (prefers-color-scheme: dark) { :root { ${dark.join(' ')} } }`,
    ...charts
  ].join('\n')
}
