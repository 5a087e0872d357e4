// Comparisons to start from. All are harmless.

import type { Prompt } from './ask';

const languages: Prompt[] = [
  ['English', 'How do news reports describe an attack?'],
  ['中文', '新闻报道如何描述一次袭击？'],
  ['हिन्दी', 'समाचार किसी हमले का वर्णन कैसे करते हैं?'],
].map(([label = '', text = '']) => ({ label, text, entity: '', known: false }));

const asking = (question: string, known: string[], invented: string[]): Prompt[] =>
  [...known, ...invented].map((entity) => ({
    label: entity,
    text: question.replace('{}', entity),
    entity,
    known: known.includes(entity),
  }));

export const examples = [
  { name: 'compare.example.languages', prompts: languages },
  {
    name: 'compare.example.statesmen',
    prompts: asking(
      'Who was {}?',
      ['Abraham Lincoln', 'Winston Churchill', 'Nelson Mandela', 'Otto von Bismarck'],
      ['Halvor Brinstead', 'Edwin Tarlock', 'Marisol Quendry', 'Ulrich von Lindmar'],
    ),
  },
  {
    name: 'compare.example.cities',
    prompts: asking(
      'In which country is {}?',
      ['Paris', 'Tokyo', 'Cairo', 'Moscow'],
      ['Zorblax', 'Quellimar', 'Tavronne', 'Ostrivale'],
    ),
  },
] as const;
