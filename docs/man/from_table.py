#!/usr/bin/env python3
"""Fills the lists of a man page from its program's own table of commands.

    docs/man/from_table.py docs/man/nats.1            rewrites the page
    docs/man/from_table.py --check docs/man/nats.1    status 1 when it would change

The page is written by hand but for what stands between two comments:

    .\\" table: options              the options of every command
    .\\" table: stream consumer      the commands that begin with one of these words
    .\\" table end

BIN (build/bin) has signbox; the applet is the page's name."""
import json
import os
import re
import subprocess
import sys

BEGIN = re.compile(r'^\.\\" table: *(.+)$')
END = '.\\" table end'


def text(line):
    """A line of help as mdoc: a sentence a line, and no line that is a macro."""
    line = line.replace('\\', '\\e').replace('…', '...')
    line = re.sub(r'([a-z)0-9])\. +([A-Z-])', r'\1.\n\2', line)
    return '\n'.join('\\&' + x if x[:1] in ('.', "'") else x for x in line.split('\n'))


def no_alias(path):
    return re.sub(r'\|\S*', '', path)


def options(rows):
    for o in rows:
        letter = f'Fl {o["letter"]} , ' if o['letter'] else ''
        arg = f' Ar {o["arg"].replace("|", " ")}' if o['arg'] else ''
        yield f'.It {letter}Fl -{o["name"]}{arg}'
        yield text(o['help']) + '.'


def commands(rows):
    for c in rows:
        args = c['args'].replace('[', '\\&[').replace('|', '\\&|') if c['args'] else ''
        yield f'.It Cm {no_alias(c["path"])}' + (f' Ar {args}' if args else '')
        yield text(c['help']) + '.'
        yield from (text(line) for line in (c.get('about') or '').split('\n') if line)
        if c['options']:
            yield '.Bl -tag -width Ds -compact'
            yield from options(c['options'])
            yield '.El'


def fill(page, table, name):
    """The page's lines with its lists made anew."""
    out, left, skip = [], list(table['commands']), False
    for line in page:
        begin = BEGIN.match(line)
        if begin and skip:
            sys.exit(f'{name}: no line {END} before: {line}')
        if line == END:
            skip = False
        if not skip:
            out.append(line)
        if not begin:
            continue
        skip = True
        words = begin[1].split()
        mine = [c for c in left if c['path'].replace('|', ' ').split()[0] in words]
        if words != ['options'] and not mine:
            sys.exit(f'{name}: no command begins with: {begin[1]}')
        left = [c for c in left if c not in mine]
        out.append('.Bl -tag -width Ds')
        out += options(table['options']) if words == ['options'] else commands(mine)
        out.append('.El')
    if skip:
        sys.exit(f'{name}: the line {END} is missing')
    if left:
        sys.exit(f'{name}: no ".\\" table:" line names: '
                 + ', '.join(sorted({no_alias(c['path']).split()[0] for c in left})))
    return '\n'.join(out).split('\n')


def main():
    args = sys.argv[1:]
    check = args[:1] == ['--check']
    if len(args) != 1 + check or args[-1].startswith('-'):
        sys.exit(__doc__)
    path = args[-1]
    applet = os.path.basename(path).rsplit('.', 1)[0]
    signbox = os.path.join(os.environ.get('BIN', 'build/bin'), 'signbox')
    table = json.loads(subprocess.check_output([signbox, applet, '--help-json']))
    with open(path, encoding='utf-8') as f:
        old = f.read().rstrip('\n').split('\n')
    new = fill(old, table, path)
    if new == old:
        return
    if check:
        sys.exit(f'{path} is not what its table says: run docs/man/from_table.py {path}')
    with open(path, 'w', encoding='utf-8') as f:
        f.write('\n'.join(new) + '\n')


main()
