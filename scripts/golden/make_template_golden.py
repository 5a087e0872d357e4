"""Writes tests/data/text/template_golden.json: what transformers renders of small chat templates.

    python scripts/golden/make_template_golden.py

Needs transformers (no torch). EXPRESSIONS are templates of one expression each, what Python and Jinja2 give for the
methods, filters, tests and operators that templates use or might; TEMPLATES are whole ones, each with its own
messages and arguments. A case that transformers refuses holds the exception instead of a text: ours must refuse it too.
The other way round ours may refuse what it cannot do, but only the cases named in chat_test.cc.
"""

import json
from importlib.metadata import version
from pathlib import Path

from transformers.utils.chat_template_utils import render_jinja_template

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = [{"role": "user", "content": "Hi there"}]

EXPRESSIONS = r"""
'a-b-c'.rsplit('-',1)
'a-b-c'.rsplit('-')
' a  b '.rsplit()
' a  b c '.rsplit(None, 1)
'abc'.removeprefix('a')
'abc'.removesuffix('c')
'abc'.removesuffix('')
'abc'.index('b')
'abc'.index('z')
'abcb'.rindex('b')
'abcb'.rfind('b')
'éaé'.rfind('é')
'a=b'.partition('=')
'a=b'.partition('/')
'a=b=c'.rpartition('=')
'a=b'.rpartition('/')
'a\nb'.splitlines()
'a\r\nb\rc\n'.splitlines(true)
'a\u2028b'.splitlines()
'aB'.swapcase()
'7'.zfill(3)
'-7'.zfill(4)
'a'.ljust(3) ~ '|'
'a'.rjust(3, '*')
'a'.center(4, '*')
'ab'.center(5, '*')
'aB'.casefold()
'Straße'.casefold()
'ab'.isalpha()
'a1'.isalnum()
' '.isspace()
'A'.isupper()
'a'.islower()
'1'.isnumeric()
'1'.isdecimal()
'½'.isnumeric()
'½'.isdigit()
'²'.isdigit()
'²'.isdecimal()
'A b'.istitle()
'A B'.istitle()
'abc'.endswith('c')
'abc'.endswith(('x', 'c'))
'abc'.endswith('b', 0, 2)
'abc'.startswith('b',1)
'aaa'.replace('a','b',1)
'aaa'.count('a', 1)
'aaaa'.count('aa')
'abc'.count('')
'a b c'.split(maxsplit=1)
'a,b'.split(sep=',')
' a  b '.split()
'a  b'.split(' ')
'a b'.split(' ', 1)[1]
'a b c'.split(none, 1)
'a'.split('')
'abc'.find('z')
'abcabc'.find('a', 1)
'{a}'.format(a=1)
'{0:>3}!{1:02d}'.format('x',5)
'a{}b'.format(1.0)
'{} {}'.format('x')
'a\tb'.expandtabs(4)
'é'.isascii()
'abc'.isidentifier()
'é'.encode('utf-8')
'abc'.translate({97: 'x'})
'abc'.nosuch()
'AbC'.lower()
'abc'.title()
'abc'.capitalize()
'ABC def'.capitalize()
'xxaxx'.strip('x')
'xxaxx'.lstrip('x')
'xxaxx'.rstrip('x')
' a\u00a0'.strip()
'\x1ca\x1c'.strip()
'\u200ba'.strip()
'-'.join(['a', 'b'])
'-'.join([1])
', '.join(messages|map(attribute='role'))
'ΑΣ'.lower()
'ß'.upper()
"don't stop".title()
[1,2,1].count(1)
[1,2].index(2)
[1,2].index(3)
{'a':1}.values()|list
{'a':1}.keys()|list
{'a':1}.items()|list
{'a':1}.copy()
[1,2].copy()
{'a': 1}.get('b', {}).get('c', 'z')
{'a': 1}.get('b')
messages[0].items()|list
messages[0]|length
messages[0]
messages
messages|tojson
messages|tojson(indent=2)
{'b': 1, 'a': [2, {'z': 1, 'c': 2}]}|tojson(sort_keys=true)
{'a': 1}|tojson(separators=(',', ':'))
'é'|tojson(ensure_ascii=true)
'é'|tojson
'<a href="x">&\'/'|tojson
'😀'|tojson(ensure_ascii=true)
[1.0, 1e20, 0.1, -0.0]|tojson
[1, [2]]|tojson(indent=4)
[]|tojson(indent=2)
'%d%%' % 5
'%s' % 'x'
'%.2f' % 1.005
'%s and %s' % ('a', 'b')
'%s' % [1]
'%s %s' % 'x'
'%s'|format('x')
'%05.1f|%-4s|%x'|format(2.25, 'a', 255)
'abc'[::2]
'abc'[::-1]
'abc'[-2:]
'abc'[1]
[1,2,3][::-1]
'a' * 3
[0] * 3
'b' in {'b':1}
'b' in 'abc'
2 in [1, 2]
'b' not in 'abc'
2 ** 0.5
2 ** 10
2 ** -1
5 % 3
-5 % 3
-5 // 2
7 // 2.0
5.5 % 2
1/2*2
4 / 2
1 / 0
1 // 0
'abc'|list
'10'|int(base=16)
'0x1f'|int(base=16)
'x'|int(5)
'x'|int
' 7 '|int
'3.9'|int
true|int
none|int
1.5|int
'x'|float
'1.5'|float
'x'|float(2.5)
[1,[2]]|string
{'a':[1,2.0]}|string
(1,2)|string
(1,)|string
()|string
['it\'s "q"']|string
['it\'s']|string
['a\nb\\']|string
['é\u200b\x7f']|string
1e16
1e-5
1e22
0.1
123456789.123
1e15
100.0
1e300
0.00012
-0.0
true and none
'' or 'x'
none or 0
not ''
1 if messages else 0
none
[true, none, 1.0]
[3,1,2]|sort(reverse=true)
['b','A','c']|sort
['b','A','c']|sort(case_sensitive=true)
[{'a':2},{'a':1}]|sort(attribute='a')|map(attribute='a')|list
[1,2,3,4]|batch(2)|list
[1,2,3]|batch(2, 0)|list
[1,2,3,4,5]|slice(2)|list
'abc'|first
'abc'|last
[]|first
'a b'|urlencode
{'a': 'b c'}|urlencode
'a'|pprint
none|string
'abc' is eq('abc')
3 is divisibleby(3)
3 is odd
'a' is lower
'A' is upper
'a' is string
1 is number
1 is integer
1.0 is float
true is boolean
true is number
{} is mapping
[1] is iterable
none is none
[1,2] is sequence
'x' is sequence
{} is sequence
'a' is sameas('a')
1 is in [1]
messages is defined and messages|length > 0
namespace(a=1).a
dict(a=1, b=2)
range(3)|list
range(1, 6, 2)|list
range(3)
joiner(', ')()
cycler('a','b').next()
lipsum is defined
'é'|upper
'ß'|upper
'hello wörld'|title
"don't stop"|title
'a-b c_d'|title
'abc def'|capitalize
'ABC'|lower
'\u3000a'|trim
'xax'|trim('x')
messages[0].content.split(' ')
'abc'|wordcount
'x y'|wordwrap(1)
'abcdefghijkl'|truncate(5, true)
'abc def ghi'|truncate(8)
[1,2,3]|sum
[[1,2],[3]]|sum(start=[])
[{'a':1},{'a':2}]|sum(attribute='a')
['a','b']|map('title')|join
['a','b']|map('upper')|join(', ')
messages|selectattr('role','ne','x')|list|length
messages|selectattr('role','equalto','user')|list|length
messages|rejectattr('role','in',['x'])|list|length
messages|selectattr('content')|list|length
messages|map(attribute='nope', default='d')|list
messages|groupby('role')|length
'<'|escape
'<'|e
'a'|attr('x')|default('u')
[none, 1]|select|list
[1,2,3]|reject('odd')|list
{'a':1,'b':2}|length
{'b':1,'a':2}|dictsort
{'b':1,'a':2}|dictsort(by='value')
{'b':1,'a':2}|items|list
'abc'|random|length
[1,2,2]|unique|list
['a','A']|unique|list
3|abs
-3|abs
2.5|round
2.567|round(1)
2.1|round(method='ceil')
[1,2]|min
[1,2]|max
'a,b'|replace(',', ';')
'aaa'|replace('a', 'b', 2)
'a\nb'|indent
'a\nb'|indent(2, true)
'a\n\nb'|indent(2)
'a\n\nb'|indent(2, blank=true)
'aXbX'.replace('X','')
'a\nb'|length
'a b'|reverse
[1,2]|reverse|list
['a', 'b']|join
[1, 'a', none]|join(',')
messages|map(attribute='role')|join(',')
'ab' ~ ['c']
'ab' ~ none
'a' + 'b'
'a' + 1
'a' + none
[1] + [2]
1 + 1.5
'abc' > 'abb'
1 == true
'1' == 1
1.0 == 1
[1] == [1]
1.0|string
10|string|length
loop is defined
self is defined
caller is defined
undefinedvar is none
undefinedvar == none
undefinedvar|length
undefinedvar|trim
undefinedvar|upper
undefinedvar|default('')|length
''|default('x', true)
undefinedvar + 'x'
undefinedvar ~ 'x'
undefinedvar in 'abc'
'a' in undefinedvar
undefinedvar.x
undefinedvar|list
messages[5] is defined
messages[5]
messages[-1].role
messages[0].nope.deep is defined
messages[0]['nope']
messages[0].nope
messages[0].content.strip().upper()
(messages|last).content
(messages|first)['role']
messages[0]['content'][0:2]
'a' 'b'
'x'|nosuchfilter
1 is nosuchtest
strftime_now('%Y')|length
raise_exception('no')
"\'"
'\x41\u0042'
"tab\tq"
[1, 2,]
{'a': 1,}
{1: 'x'}[1]
{'a b': 1}['a b']
1_000
0x10
-1|abs
(-1)|abs
not true == false
1 < 2 < 3
true is true
'x' if false
'x' if false else 'y'
[1,2,3][1:]|join
""".strip().splitlines()

GENERATION = (
    "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}"
    "{% else %}[{{ m.content }}]{% endif %}{% endfor %}"
)
GENERATION_TRIM = """{%- for m in messages -%}
{%- if m.role == 'assistant' -%}
{%- generation -%}
A:{{ m.content }}
{%- endgeneration -%}
{%- else -%}
U:{{ m.content }}
{%- endif -%}
{%- endfor -%}"""
GENERATION_LINES = """{% for m in messages %}
  {% generation %}
{{ loop.index }} {{ m.content }}
  {% endgeneration %}
{% endfor %}
"""
CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]
TOOLS = [
    {"role": "user", "content": "Weather in Oslo?"},
    {
        "role": "assistant",
        "content": None,
        "reasoning_content": "I should ask.",
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "weather", "arguments": {"town": "Oslo", "at": 9}}}
        ],
    },
    {"role": "tool", "tool_call_id": "1", "name": "weather", "content": "rain"},
]
TOOL_TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}{% if m.name %} {{ m.name }}{% endif %}>"
    "{% if m.reasoning_content is defined and m.reasoning_content %}({{ m.reasoning_content }}){% endif %}"
    "{% if m.content is not none %}{{ m.content }}{% endif %}"
    "{% for c in m.tool_calls or [] %}{{ c.function.name }} {{ c.function.arguments | tojson }}{% endfor %}"
    "{% endfor %}{% for k in messages[1] %} {{ k }}{% endfor %}"
)
ARGUMENTS = (
    "{% if enable_thinking is defined and enable_thinking is false %}<no>{% endif %}{{ date_string | default('none') }}"
    "{{ levels | tojson }}{{ bos_token }}"
)
TEMPLATES = [
    {"template": GENERATION, "messages": CHAT},
    {"template": GENERATION_TRIM, "messages": CHAT},
    {"template": GENERATION_LINES, "messages": CHAT},
    # What a generation block sets stays inside; the word elsewhere is no tag.
    {"template": "{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}"},
    {"template": "{# {% generation %} #}{{ '{% generation %}' }}{% raw %}{% generation %}{% endraw %}"},
    {"template": "{% generation %}a"},
    {"template": TOOL_TEMPLATE, "messages": TOOLS},
    {"template": ARGUMENTS, "arguments": {"enable_thinking": False, "date_string": "1 May", "levels": {"b": 1, "a": 2}}},
    {"template": ARGUMENTS, "arguments": {"levels": [], "bos_token": "<other>"}},
    {"template": "{% for m in messages %}{{ m.reasoning_content }} {{ m.thinking }}{% endfor %}",
     "messages": [{"role": "assistant", "content": "x", "reasoning": "because"}]},
    {"template": "{% for a in [1,2,3] if a > 1 %}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ a }}{% else %}n{% endfor %}"},
    {"template": "{% for k, v in {'a': 1}.items() %}{{ k }}={{ v }}{% endfor %}"},
    {"template": "{% macro f(x, y='d') %}{{ x }}{{ y }}{% endmacro %}{{ f('a') }}{{ f('a', y='b') }}"},
    {"template": "{% set ns = namespace(a=1) %}{% for i in [1] %}{% set ns.a = 5 %}{% endfor %}{{ ns.a }}"},
    {"template": "{% filter upper %}abc{% endfilter %}{% with a = 1 %}{{ a }}{% endwith %}{% set b %}x{% endset %}{{ b }}"},
    {"template": "{% for a in [1,2,3] recursive %}{{ loop.length }}{{ loop.revindex }}{{ loop.previtem }}{{ loop.nextitem }}{% endfor %}"},
    {"template": "{% macro f() %}[{{ caller() }}]{% endmacro %}{% call f() %}in{% endcall %}"},
    {"template": "{% if a is defined %}1{% elif messages %}2{% else %}3{% endif %}{% do 1 %}"},
    {"template": "a\n{%- if true %}\n\n b\n{%+ endif %}\n  {# c #}\n{{ 1 }}\n\n"},
    {"template": "{% break %}"},
]


def case(template, messages=None, arguments=None):
    made = {"template": template}
    if messages:
        made["messages"] = messages
    if arguments:
        made["arguments"] = arguments
    try:
        variables = {"bos_token": "<s>", **(arguments or {})}
        made["text"] = render_jinja_template([messages or MESSAGES], chat_template=template, **variables)[0][0]
    except Exception as error:
        made["error"] = f"{type(error).__name__}: {error}"
    return made


def main():
    cases = [case("{{ " + expression + " }}") for expression in EXPRESSIONS] + [case(**one) for one in TEMPLATES]
    made_with = {name: version(name) for name in ("transformers", "jinja2")}
    path = ROOT / "tests/data/text/template_golden.json"
    lines = ",\n".join(json.dumps(one, separators=(",", ":"), ensure_ascii=True) for one in cases)
    path.write_text(f'{{\n"made_with": {json.dumps(made_with)},\n"cases": [\n{lines}\n]}}\n')
    print(path, path.stat().st_size, "bytes,", len(cases), "cases")


if __name__ == "__main__":
    main()
