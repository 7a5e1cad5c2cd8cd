/** `plinth scale flops`: arithmetic per token and per run, exact by part and by the usual rules. */
import { Command, Option } from 'commander';
import type { FlopsPerToken, FlopsRules } from '../../scaling/count/index.ts';
import {
  type ArchitectureFlags,
  addArchitectureOptions,
  architectureFromFlags,
  tokenCount,
  tokenLength,
} from '../scale/architecture-options.ts';
import { columns } from '../terminal/columns.ts';

interface FlopsFlags extends ArchitectureFlags {
  context?: number;
  source?: number;
  tokens?: number;
  mask: 'full' | 'half';
  json?: boolean;
}

const HELP = `
Two FLOPs for each active number of each matrix, attention's scores at --context, recurrent scans. Not counted: norms,
activations, softmax, lookups. Training is three times forward; a causal mask is counted as if it were not there unless
--mask half. A mixture's tokens use their active experts only. FLOPs are work; FLOP/s are speed: "plinth scale cost".

Examples:
  $ plinth scale flops --preset gpt2 --context 1024 --tokens 300B
  $ plinth scale flops --config config.json --context 8K --json`;

export function flopsCommand(): Command {
  const command = new Command('flops')
    .summary('arithmetic per token, training and generating')
    .description(
      'FLOPs per token: forward, training, generating; by part, and by the rules that others use.',
    );
  return addArchitectureOptions(command)
    .option(
      '--context <tokens>',
      "tokens in a sequence (4096, 8K); default: the model's own, else 2048",
      tokenLength,
    )
    .option('--source <tokens>', 'tokens that an encoder reads (default: --context)', tokenLength)
    .option('--tokens <number>', 'training tokens, for the whole run (300B, 1.4T)', tokenCount)
    .addOption(
      new Option('--mask <kind>', 'scores of a causal mask: all, or the half that fast kernels compute')
        .choices(['full', 'half'])
        .default('full'),
    )
    .option('--json', 'print one line of JSON')
    .addHelpText('after', HELP)
    .action(flops);
}

async function flops(flags: FlopsFlags): Promise<void> {
  const [architecture, { countParameters, flopsPerToken, flopsRules }] = await Promise.all([
    architectureFromFlags(flags),
    import('../../scaling/count/index.ts'),
  ]);
  const options = {
    causalMask: flags.mask,
    ...(flags.context === undefined ? {} : { contextLength: flags.context }),
    ...(flags.source === undefined ? {} : { sourceLength: flags.source }),
  };
  const perToken = flopsPerToken(architecture, options);
  const rules = flopsRules(architecture, options);
  const { total, active } = countParameters(architecture);
  const run =
    flags.tokens === undefined
      ? undefined
      : { tokens: flags.tokens, exact: perToken.training * flags.tokens, sixND: rules.sixN * flags.tokens };
  if (flags.json) {
    const { name, notes } = architecture;
    process.stdout.write(`${JSON.stringify({ name, total, active, ...perToken, rules, run, notes })}\n`);
    return;
  }
  const lines = [
    `${architecture.name}, ${lengthText(perToken)}: ${scientific(perToken.training)} FLOPs to train on a token\n`,
    columns(
      [
        ['per token', 'FLOPs', 'of forward'],
        ...partRows(perToken),
        ['forward', scientific(perToken.forward), '100.0 %'],
        ['training (forward and backward)', scientific(perToken.training), ''],
        ['  scores computed again', scientific(perToken.trainingSelective), ''],
        ['  everything computed again', scientific(perToken.trainingRecomputed), ''],
        ['reading a prompt of that length', scientific(perToken.prefill / perToken.contextLength), ''],
        ['generating at that length', scientific(perToken.decode), ''],
      ],
      'lrr',
    ),
    `\nA sequence: ${scientific(perToken.trainingPerSequence)} FLOPs (training).\n`,
    columns(
      [['training FLOPs per token by rule', 'FLOPs', 'to exact'], ...ruleRows(rules, perToken.training)],
      'lrr',
    ),
    ...(run === undefined ? [] : [`\n${runText(run)}`]),
    ...architecture.notes.map((note) => `Note: ${note}`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function lengthText({ contextLength, sourceLength }: FlopsPerToken): string {
  const source = sourceLength === null ? '' : ` (and ${sourceLength} in the encoder)`;
  return `sequences of ${contextLength} tokens${source}`;
}

function partRows({ byPart, forward }: FlopsPerToken): string[][] {
  return Object.entries(byPart)
    .filter(([, value]) => value > 0)
    .map(([part, value]) => [part, scientific(value), `${((100 * value) / forward).toFixed(1)} %`]);
}

function ruleRows(rules: FlopsRules, exact: number): string[][] {
  const row = (label: string, value: number) => [label, scientific(value), (value / exact).toFixed(3)];
  return [
    row('exact (as nanoGPT counts)', rules.nanoGpt),
    row('6 N, all active parameters', rules.sixN),
    row('6 N, without embeddings and head', rules.sixNonEmbedding),
    row('Kaplan: that, and half the scores', rules.kaplan),
    row('PaLM: 6 N + 12 L H Q T', rules.palm),
    row('Chinchilla, appendix F', rules.chinchilla),
  ];
}

function runText({ tokens, exact, sixND }: { tokens: number; exact: number; sixND: number }): string {
  return `Trained on ${scientific(tokens)} tokens: ${scientific(exact)} FLOPs exact, ${scientific(sixND)} by 6 N D.\n`;
}

/** 3.1428e+23 -> "3.143e23". */
function scientific(value: number): string {
  return value < 1e6 && Number.isInteger(value) ? String(value) : value.toExponential(3).replace('e+', 'e');
}
