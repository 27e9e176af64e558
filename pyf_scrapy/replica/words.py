"""The words of which names and texts are made. Compounds of the first two lists are invented."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST = _words("""
amber anchor ashen aspen badger barley basalt beacon birch bramble brine brook cedar chalk cinder
clover cobalt copper coral crane cricket crow dapple dewy drift dune eddy elder ember fallow feather
fenland fern finch flint foggy foxen frost gale garnet glade granite gravel grove gull harbour hare
hazel heath hedge heron hollow honey ivory jasper juniper kelp kestrel larch lark lichen lilac
linden loam lupin maple marsh meadow mica misty moss nettle nimbus oaken ochre onyx opal otter owl
pebble pepper pine plover plum poppy quartz quill rain raven reed ridge river robin rowan rush
russet rye saffron sage salt sedge shale silt slate sleet sorrel sparrow spruce starling sumac swift
tansy teal thistle thorn thrush tide timber tulip vale velvet walnut willow wren yarrow zephyr
""")

SECOND = _words("""
anvil arch attic awl balcony barge barrel basin basket bell bench bolt bough bracket bridge brush
buckle cabin cairn candle canopy chest chisel cleat cloak compass crate cradle dial easel ferry flag
flume forge gate gauge girder grate hammer handle hearth hinge hook jar jetty kettle keel kiln knot
ladder latch ledge lever locker loft loom mallet mantle mark mast mill mooring needle nook oar oven
paddle parapet peg pier plank pulley quay rafter rail ramp reel rivet rudder saddle satchel scarf
shelf shutter skiff sledge spindle spool staff stile stove tackle tarp thimble tiller trellis
trestle trough trunk valve vane vault wagon warp water weir wharf wheel whistle winch yard yoke
""")

TAILS = _words("""
adapter archive atlas audit backup batch bundle cache calendar capture catalog charts checker client
codec commands compare config connect console convert counter crypt deploy digest editor engine
events export fields filters folders forms gallery geo graph grid helpers images inbox index inspect
journal kit labels layout ledger lens letters limits links listing locale log mail maps menu merge
meter metrics migrate mirror mixer model monitor notes notify orders pages parser patch pipeline
planner player plots policy polls preview probe proxy queue query quiz ranker reader relay render
report router rules sampler scanner schema search session shapes signals sketch slots stats storage
stream survey sync tables tags tasks teams templates theme ticket timer tiles tokens tools trail
tree uploads viewer views voice watch widget wizard workflow works
""")

SYLLABLES = _words("""
ba bel bor cal cor dan del dor fal fen gal gor hal hin jor kal ker lan lin lor mal mer mor nal nor
pel pol ral ren ros sal ser sol tal ter tol val ven vor zan
""")

THINGS = _words("""
account address answer article attachment audience author badge batch border branch bucket button
calendar card category channel chapter column comment contact cookie counter cursor date deadline
device document draft editor entry error event feed field file filter folder font footer form
gallery group header heading icon image index invoice item job key label language layout lesson
letter library link list location lock map meeting member menu message model module month note
notice number object offer option order owner page panel paragraph password path payment person
phone picture policy portal preview price print process product profile project prompt query
question queue record region reminder report request review role room route rule schedule schema
script section selection server session setting shop signature site size slide sort source stage
step story style subject subscription summary survey switch tab table tag task team template term
test text theme thread ticket time title token tool topic translation tree upload user value
variable vendor version view visitor vote warning window word workspace zone
""")

VERBS = _words("""
accepts adds answers archives attaches builds checks cleans collects compares converts copies counts
creates deletes describes displays encodes exports extends fetches fills filters finds follows
formats generates groups handles hides imports indexes inserts joins keeps limits lists loads locks
maps marks merges moves names notifies opens orders packs parses prepares prints publishes reads
records reduces refreshes registers reloads removes renames renders replaces reports resets resolves
restores returns reviews rewrites saves schedules selects sends shares shows signs sorts splits
starts stores tests tracks translates updates uploads validates watches wraps writes
""")

ADJECTIVES = _words("""
ample basic bright broad calm careful clean clear common complete compact curious current custom
daily dated deep default dense direct dry early easy empty even exact external fair faithful
familiar fast final fine firm first flat foreign formal free fresh full general gentle global good
grand handy hidden honest idle inner joint keen large late lazy light linear local long loose main
major manual minor mixed modern modest narrow nested neutral new normal old open optional outer
partial plain polite portable private proper public pure quick quiet rapid rare raw ready recent
regular remote rich rough round safe second secret shallow sharp short silent simple single slow
small smart smooth soft solid sparse special stable steady strict strong sturdy subtle sudden sure
tall tame thin tidy tight tiny true upper useful usual valid vast visible warm whole wide wild wise
""")

PEOPLE = _words("""
Adela Aldo Anneke Ansgar Bela Berit Bruno Calla Cosima Dario Edda Eino Elske Falk Femke Fritjof
Greta Hanno Hedda Ilja Imke Ivo Jarle Jelka Jytte Kaja Kasimir Lasse Leontine Liv Malte Marit Mikko
Nele Niels Odile Oskar Pavla Per Runa Sanna Selma Silas Sören Tilda Tjark Tove Ulla Urs Vendela
Viggo Wiebke Yrsa Zélie
""")

SENTENCES = (
    "The %s %s %s every %s.",
    "In each request the %s %s %s the %s before it is stored.",
    "A %s %s %s one %s at a time.",
    "When a visitor asks, the %s %s %s any %s.",
    "By default the %s %s %s no %s.",
    "An editor sees how the %s %s %s the %s.",
    "It is tested that the %s %s %s a %s.",
    "For a small site the %s %s %s its %s quickly.",
    "Nobody needs to wait while the %s %s %s another %s.",
    "If nothing else is set, the %s %s %s this %s.",
)
"""Slots: adjective, thing, verb, thing."""

HEADINGS = (
    "Installation",
    "Usage",
    "Configuration",
    "How it works",
    "Limits",
    "Development",
    "Support",
    "Credits",
)
