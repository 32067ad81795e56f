"""The words a participant reads unless the study's configuration brings its own. Markdown."""

CONSENT = """\
**What this is.** A research study about how people compare faces, and whether pictures that explain a computer's
comparison help them.

**What you will do.** Look at pairs of face photos and say whether both show the same person. There are short rounds
with a rest between them; the whole takes about 20 minutes.

**What is recorded.** Your answers, how long each took, how sure you were, and the size of your screen. Not your name,
e-mail address or network address.

**Your rights.** Taking part is voluntary. You can stop at any time, and you can withdraw: your answers are then
deleted. If you have questions, ask the person who sent you this link.
"""

INSTRUCTIONS = """\
You will see two faces and, with them, two pictures in the middle (on a phone: below the faces). **Look at both faces
and at these pictures**, then decide: do the two faces belong to the same person?

- Some faces wear a mask or sunglasses that were drawn on by a computer.
- In some rounds the pictures show which parts of the faces a computer found alike: bright parts count more. In one
  round they show nothing.
- The computer can be wrong. Answer what you believe yourself.
- Every round starts with a few practice pairs, after which you are told the right answer.

Answer with the buttons, or with the keys **F** (yes, same person) and **J** (no, different people). You cannot go back.
"""

READY = """\
Practice is over. From now on you are not told whether you were right. Answer as well as you can, without hurrying.
"""

REST = """\
This round is finished. Rest your eyes for a moment. The next round shows other pictures in the middle; it starts with
practice pairs again.
"""

DEBRIEF = """\
Thank you for taking part.

The study asks whether pictures that show what a face matcher looks at help people to compare faces. You saw pairs with
no explanation and with explanations by different methods. Half of the pairs showed one person twice, half two people
who look alike.
"""

QUESTION = "Are these two photos of the same person?"
