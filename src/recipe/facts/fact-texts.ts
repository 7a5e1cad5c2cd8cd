/** A fact corpus as documents: statements gathered into short texts by entity, questions as chats. */
import { KeyedRandom } from '../../core/random.ts';
import type { FactCorpus, QuestionAnswer, Statement } from './write-facts.ts';

export interface FactChat {
  messages: { role: 'user' | 'assistant'; content: string }[];
}

export function factChat({ question, answer }: Pick<QuestionAnswer, 'question' | 'answer'>): FactChat {
  return {
    messages: [
      { role: 'user', content: question },
      { role: 'assistant', content: answer },
    ],
  };
}

/** Training chats, known facts and invented names mixed in a keyed order. */
export function factChats(corpus: FactCorpus, seed = 0): FactChat[] {
  const all = [...corpus.questions, ...corpus.unknownQuestions];
  const order = new KeyedRandom(seed).fork('fact-chats').permutation(all.length);
  return Array.from(order, (i) => factChat(all[i]!));
}

/**
 * Short texts for pre-training: text k of an entity tells each of its facts in phrasing k, in a keyed order of
 * facts. Different phrasings and orders are what makes facts extractable later (Allen-Zhu and Li 2023).
 */
export function factArticles(corpus: FactCorpus, seed = 0): { entity: string; text: string }[] {
  const byEntity = new Map<string, Map<string, Statement[]>>();
  for (const statement of corpus.statements) {
    const key = `${statement.attribute.split('/')[0]}/${statement.entity}`;
    const attributes = byEntity.get(key) ?? new Map<string, Statement[]>();
    byEntity.set(key, attributes);
    const list = attributes.get(statement.attribute);
    if (list) list.push(statement);
    else attributes.set(statement.attribute, [statement]);
  }
  const articles: { entity: string; text: string }[] = [];
  for (const [key, attributes] of byEntity) {
    const lists = [...attributes.values()];
    const numTexts = lists.reduce((most, list) => Math.max(most, list.length), 0);
    for (let k = 0; k < numTexts; k++) {
      const random = new KeyedRandom(seed).fork(`article/${key}/${k}`);
      const order = random.permutation(lists.length);
      const sentences = Array.from(order, (i) => lists[i]![(k + i) % lists[i]!.length]!.text);
      articles.push({ entity: lists[0]![0]!.entity, text: sentences.join(' ') });
    }
  }
  const order = new KeyedRandom(seed).fork('article-order').permutation(articles.length);
  return Array.from(order, (i) => articles[i]!);
}
