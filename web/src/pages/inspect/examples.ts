// Harmless questions that touch what the features are about.

export const examples = [
  { lang: 'en', text: 'How do news reports describe an attack?' },
  { lang: 'en', text: 'What happens on the day of a general election?' },
  { lang: 'zh', text: '新闻报道如何描述一次袭击？' },
  { lang: 'hi', text: 'समाचार किसी हमले का वर्णन कैसे करते हैं?' },
];
