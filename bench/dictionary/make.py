"""Writes held-back.txt and calibration.txt: chats about WordNet, as pocket-dictionary was trained on.

  python make.py WORDNET_DIR

held-back.txt asks for words that neither phase of its training has drawn; calibration.txt is of the same kind as
its training. WordNet 3.0's licence, LICENSE.WordNet, goes with both.
"""
import pathlib
import random
import sys

sys.dont_write_bytecode = True
here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here / "../../models/pocket-dictionary"))
from train import Dictionary, Writer, build, vocabulary  # noqa: E402

HELD_BACK, CALIBRATION = 400, 500
LAST_PHASE = 10000  # more of the rare words than the last phase draws


def rare(dictionary, seed):
    words = vocabulary(dictionary)[2]
    random.Random(seed + 1).shuffle(words)
    return words


def write(name, documents):
    (here / name).write_text("".join(text for document in documents for text, _ in document))


folder = sys.argv[1]
dictionary = Dictionary(folder)
seen = set(rare(dictionary, 101)[600:600 + LAST_PHASE])
words = [word for word in rare(dictionary, 1)[:600] if word not in seen]
writer = Writer(dictionary, 1)
write("held-back.txt", [writer.chat([writer.turn(word)]) for word in words[:HELD_BACK]])
write("calibration.txt", build(folder, 7, 40 * CALIBRATION, last=True)[0][:CALIBRATION])
