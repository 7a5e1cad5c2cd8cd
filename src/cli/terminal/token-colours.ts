/**
 * Probabilities as colours of text. The scale runs from a greyish blue (certain) over violet to red (improbable)
 * with chroma growing on the way; every step has the same luminance, the one whose contrast against black and
 * against white is equal (4.6 to 1, W3C's WCAG 2.2 asks 4.5), so it reads on dark and light terminals alike, and
 * blue to red stays distinct in the common colour blindnesses. Below half, text is underlined as well.
 */

export type ColourDepth = 'none' | 'basic' | 'palette' | 'true';

/** A token less probable than this is uncertain: underlined, and listed with what could stand instead. */
export const UNCERTAIN_BELOW = 0.5;

/** NO_COLOR (no-color.org), dumb terminals and streams that are none get no colours. */
export function colourDepth(
  stream: { isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>>,
  isAllowed = true,
): ColourDepth {
  const { NO_COLOR, TERM = '', COLORTERM = '' } = environment;
  if (!isAllowed || !stream.isTTY || NO_COLOR || TERM === 'dumb') return 'none';
  if (/truecolor|24bit/i.test(COLORTERM)) return 'true';
  return /256/.test(TERM) ? 'palette' : 'basic';
}

export const NUM_STEPS = 8;
/** (Y + 0.05) / 0.05 = 1.05 / (Y + 0.05). */
const LUMINANCE = Math.sqrt(1.05 * 0.05) - 0.05;

export type Rgb = readonly [number, number, number];

/**
 * 0 (certain) to NUM_STEPS - 1. Steps are even in the cube root of the probability: that tells 1 % from 10 % as
 * clearly as 30 % from 70 %, and does not make much of the difference between 90 % and 99 %.
 */
export function probabilityStep(probability: number): number {
  const share = 1 - Math.cbrt(Math.min(1, Math.max(0, probability)));
  return Math.min(NUM_STEPS - 1, Math.floor(share * NUM_STEPS));
}

/** The colours of the steps, 8 bits a channel. */
export const STEP_COLOURS: readonly Rgb[] = Array.from({ length: NUM_STEPS }, (_, step) => {
  const share = step / (NUM_STEPS - 1);
  return ofLuminance(250 + 137 * share, 0.05 + 0.15 * share);
});

/** Styles a text without line breaks. */
export function probabilityColour(probability: number, depth: ColourDepth): (text: string) => string {
  const open = opening(probability, depth);
  return (text) => (open === '' || text === '' ? text : `\u001b[${open}m${text}\u001b[0m`);
}

function opening(probability: number, depth: ColourDepth): string {
  if (depth === 'none') return '';
  const step = probabilityStep(probability);
  const line = probability < UNCERTAIN_BELOW ? '4' : '';
  const colour =
    depth === 'true'
      ? `38;2;${STEP_COLOURS[step]!.join(';')}`
      : depth === 'palette'
        ? `38;5;${paletteIndex(step)}`
        : basicColour(probability);
  return [line, colour].filter((part) => part !== '').join(';');
}

/** Of the terminal's own colours those that are legible in most schemes: none, cyan, magenta, red. */
function basicColour(probability: number): string {
  if (probability >= 0.7) return '';
  return probability >= 0.3 ? '36' : probability >= 0.1 ? '35' : '31';
}

const paletteIndices = new Map<number, number>();

/** The nearest in OKLab of xterm's 240 fixed colours that has at least 3 to 1 against black and white. */
export function paletteIndex(step: number): number {
  const known = paletteIndices.get(step);
  if (known !== undefined) return known;
  const wanted = okLab(STEP_COLOURS[step]!);
  let best = 16;
  let least = Number.POSITIVE_INFINITY;
  for (let index = 16; index < 256; index++) {
    const colour = paletteColour(index);
    const light = luminance(colour);
    if (light < 0.1 || light > 0.3) continue;
    const lab = okLab(colour);
    const distance = Math.hypot(lab[0] - wanted[0], lab[1] - wanted[1], lab[2] - wanted[2]);
    if (distance < least) {
      least = distance;
      best = index;
    }
  }
  paletteIndices.set(step, best);
  return best;
}

/** xterm: a cube of 6 levels a channel from 16, then 24 greys from 232. */
export function paletteColour(index: number): Rgb {
  if (index >= 232) {
    const grey = 8 + 10 * (index - 232);
    return [grey, grey, grey];
  }
  const level = (digit: number) => (digit === 0 ? 0 : 55 + 40 * digit);
  const cube = index - 16;
  return [level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)];
}

/** W3C's relative luminance of an sRGB colour. */
export function luminance(colour: Rgb): number {
  const [red, green, blue] = colour.map(linear) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function linear(byte: number): number {
  const value = byte / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

function encoded(value: number): number {
  return Math.round(255 * (value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055));
}

/** OKLab (Ottosson 2020): lightness, green to red, blue to yellow. */
export function okLab(colour: Rgb): Rgb {
  const [r, g, b] = colour.map(linear) as [number, number, number];
  const long = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const middle = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const short = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * long + 0.793617785 * middle - 0.0040720468 * short,
    1.9779984951 * long - 2.428592205 * middle + 0.4505937099 * short,
    0.0259040371 * long + 0.7827717662 * middle - 0.808675766 * short,
  ];
}

/** The colour of this hue (degrees) and chroma whose luminance is LUMINANCE; less chroma where sRGB has no such. */
function ofLuminance(hue: number, chroma: number): Rgb {
  const a = Math.cos((hue * Math.PI) / 180);
  const b = Math.sin((hue * Math.PI) / 180);
  for (let c = chroma; ; c -= 0.002) {
    let low = 0;
    let high = 1;
    let rgb = linearOfOkLab(0, 0, 0);
    for (let i = 0; i < 40; i++) {
      const lightness = (low + high) / 2;
      rgb = linearOfOkLab(lightness, c * a, c * b);
      if (0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2] < LUMINANCE) low = lightness;
      else high = lightness;
    }
    if (rgb.every((value) => value >= -1e-4 && value <= 1.0001)) {
      return rgb.map((value) => encoded(Math.min(1, Math.max(0, value)))) as unknown as Rgb;
    }
  }
}

function linearOfOkLab(lightness: number, a: number, b: number): Rgb {
  const long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const short = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
    -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
    -0.0041960863 * long - 0.7034186147 * middle + 1.707614701 * short,
  ];
}
