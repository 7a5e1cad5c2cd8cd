/**
 * Countries as sentences and questions. Every attribute has several phrasings of real variety, because a small
 * model learns a fact as such only when it meets it in many forms.
 */
import type { FactSheet } from '../src/recipe/facts/index.ts';

export const countrySheet: FactSheet = {
  name: 'countries',
  entity: {
    noun: 'country',
    key: 'name',
    aliases: 'aliases',
    article: (
      'Bahamas Netherlands Philippines Maldives Comoros Gambia Seychelles Islands Isles Isle United Republic ' +
      'Congo Emirates Emirate Lands Territory Kingdom Federation Confederation Union Duchy Principality Sultanate ' +
      'Commonwealth Empire Archipelago'
    ).split(' '),
  },
  attributes: [
    {
      column: 'capital',
      label: 'capital',
      list: { max: 3, order: 'as-given' },
      missing: {
        answer: 'none',
        statements: [
          '{entity} has no capital.',
          'There is no capital in {entity}.',
          'No city is the capital of {entity}.',
          'Capital of {entity}: none.',
          '{entity} is without a capital.',
        ],
      },
      statements: [
        'The capital of {entity} is {value}.',
        '{value} is the capital of {entity}.',
        '{entity} is governed from its capital, {value}.',
        'In {entity}, the capital is {value}.',
        'Capital of {entity}: {value}.',
        '{entity} has its capital in {value}.',
      ],
      questions: [
        'What is the capital of {entity}?',
        'Which city is the capital of {entity}?',
        "What is {entity}'s capital?",
        'Name the capital of {entity}.',
        'What is the capital city of {entity}?',
        '{name}: capital?',
        'Where is the seat of government of {entity}?',
        'From which capital is {entity} governed?',
      ],
    },
    {
      column: 'region',
      label: 'world region',
      statements: [
        '{entity} belongs to the world region {value}.',
        'World region of {entity}: {value}.',
        'On the map, look for {entity} under {value}.',
        'The continent of {entity} is {value}.',
        'Among the regions of the world, {entity} is counted with {value}.',
      ],
      questions: [
        'In which region of the world is {entity}?',
        'On which continent is {entity}?',
        'Which continent does {entity} belong to?',
        'What is the continent of {entity}?',
        '{name}: continent?',
        'Under which continent do you find {entity}?',
        'Name the continent of {entity}.',
      ],
    },
    {
      column: 'subregion',
      label: 'subregion',
      statements: [
        '{entity} lies in the subregion {value}.',
        'Subregion of {entity}: {value}.',
        'More exactly, {entity} is part of {value}.',
        'The subregion of {entity} is {value}.',
        'Geographers count {entity} as {value}.',
      ],
      questions: [
        'In which subregion is {entity}?',
        'What is the subregion of {entity}?',
        'Which part of its continent is {entity} in?',
        'Which subregion does {entity} belong to?',
        '{name}: subregion?',
        'More exactly, where does {entity} lie?',
        'Name the subregion of {entity}.',
      ],
    },
    {
      column: 'currency',
      label: 'currency',
      statements: [
        'The currency of {entity} is the {value}.',
        'In {entity} people pay with the {value}.',
        'The money of {entity} is called {value}.',
        '{entity} uses the {value}.',
        'Currency of {entity}: {value}.',
        'Prices in {entity} are given in this currency: {value}.',
      ],
      questions: [
        'What is the currency of {entity}?',
        'Which currency is used in {entity}?',
        'What money do people use in {entity}?',
        'With what currency do you pay in {entity}?',
        "What is {entity}'s currency?",
        '{name}: currency?',
        'Name the currency of {entity}.',
        'What is the money of {entity} called?',
      ],
    },
    {
      column: 'currencyCode',
      label: 'currency code',
      statements: [
        'The currency code of {entity} is {value}.',
        'Banks write {value} for the money of {entity}.',
        'The currency of {entity} has the code {value}.',
        'Currency code of {entity}: {value}.',
        'In {entity}, prices are listed in {value}.',
      ],
      questions: [
        'What is the currency code of {entity}?',
        'Which code do banks use for the money of {entity}?',
        'Which three letters stand for the currency of {entity}?',
        'What is the ISO code of the currency of {entity}?',
        '{name}: currency code?',
        'How do banks abbreviate the currency of {entity}?',
        'Name the currency code of {entity}.',
      ],
    },
    {
      column: 'languages',
      label: 'official languages',
      list: { max: 4 },
      statements: [
        'Official in {entity}: {value}.',
        'In {entity} the official language is {value}.',
        'Laws of {entity} are written in {value}.',
        'The government of {entity} works in {value}.',
        'Languages of {entity}: {value}.',
      ],
      questions: [
        'Which languages are official in {entity}?',
        'What is spoken officially in {entity}?',
        'What are the official languages of {entity}?',
        'In which languages does the government of {entity} work?',
        '{name}: official languages?',
        'Name all official languages of {entity}.',
        'Which languages does {entity} use officially?',
      ],
    },
    {
      column: 'domain',
      label: 'internet domain',
      statements: [
        'The internet domain of {entity} is {value}.',
        'Web addresses in {entity} end in {value}.',
        '{value} is the internet domain of {entity}.',
        'Sites from {entity} use {value}.',
        'Internet domain of {entity}: {value}.',
      ],
      questions: [
        'What is the internet domain of {entity}?',
        'Which ending do web addresses in {entity} have?',
        'What do web addresses from {entity} end in?',
        'Which top-level domain belongs to {entity}?',
        "What is {entity}'s internet domain?",
        '{name}: internet domain?',
        'Name the top-level domain of {entity}.',
      ],
    },
    {
      column: 'callingCode',
      label: 'calling code',
      statements: [
        'The calling code of {entity} is {value}.',
        'To phone {entity}, dial {value}.',
        'Phone numbers in {entity} start with {value}.',
        '{value} is the calling code of {entity}.',
        'Calling code of {entity}: {value}.',
      ],
      questions: [
        'What is the calling code of {entity}?',
        'Which code do you dial to phone {entity}?',
        'What do phone numbers in {entity} start with?',
        'Which telephone prefix does {entity} have?',
        "What is {entity}'s dialling code?",
        '{name}: calling code?',
        'Name the country calling code of {entity}.',
      ],
    },
    {
      column: 'demonym',
      label: 'demonym',
      statements: [
        'Someone from {entity} is called {value}.',
        'The demonym of {entity} is {value}.',
        'People of {entity}: {value}.',
        'A citizen of {entity} is described as {value}.',
        'If you come from {entity}, you are {value}.',
      ],
      questions: [
        'What do you call someone from {entity}?',
        'What is the demonym of {entity}?',
        'What are the people of {entity} called?',
        'How is a citizen of {entity} described?',
        'What is the nationality of a person from {entity}?',
        '{name}: demonym?',
        'Name the demonym for {entity}.',
      ],
    },
    {
      column: 'code2',
      label: 'two-letter code',
      statements: [
        'The two-letter code of {entity} is {value}.',
        'The ISO alpha-2 code {value} stands for {entity}.',
        'In two letters, {entity} is {value}.',
        'Two-letter code of {entity}: {value}.',
        'Lists of countries shorten {entity} to {value}.',
      ],
      questions: [
        'What is the two-letter code of {entity}?',
        'Which two letters stand for {entity}?',
        'What is the ISO alpha-2 code of {entity}?',
        'How is {entity} written in two letters?',
        '{name}: two-letter code?',
        'Name the two-letter country code of {entity}.',
        'To which two letters is {entity} shortened?',
      ],
    },
    {
      column: 'code3',
      label: 'three-letter code',
      statements: [
        'The three-letter code of {entity} is {value}.',
        'The ISO alpha-3 code {value} stands for {entity}.',
        'In three letters, {entity} is {value}.',
        'Three-letter code of {entity}: {value}.',
        'Passports shorten {entity} to {value}.',
      ],
      questions: [
        'What is the three-letter code of {entity}?',
        'Which three letters stand for {entity}?',
        'What is the ISO alpha-3 code of {entity}?',
        'How is {entity} written in three letters?',
        '{name}: three-letter code?',
        'Name the three-letter country code of {entity}.',
        'To which three letters is {entity} shortened?',
      ],
    },
    {
      column: 'neighbours',
      label: 'neighbours',
      list: { max: 4 },
      maxCharacters: 80,
      missing: {
        answer: 'none',
        statements: [
          '{entity} has no neighbours on land.',
          'No country borders {entity}.',
          '{entity} shares a land border with none.',
          'There is no land border around {entity}.',
          'Neighbours of {entity} on land: none.',
        ],
      },
      statements: [
        '{entity} shares a land border with {value}.',
        '{entity} has these neighbours on land: {value}.',
        'Around {entity} lie {value}.',
        'From {entity} you can cross by land into {value}.',
        'Neighbours of {entity} on land: {value}.',
      ],
      questions: [
        'Which countries border {entity}?',
        'What are the neighbours of {entity} on land?',
        'With which countries does {entity} share a land border?',
        'Into which countries can you cross by land from {entity}?',
        '{name}: neighbours on land?',
        'Name all neighbours of {entity} on land.',
        'What lies across the land borders of {entity}?',
      ],
    },
    {
      column: 'landlocked',
      label: 'landlocked',
      yesNo: {
        yes: [
          '{entity} is landlocked.',
          '{entity} has no coast.',
          'No sea touches {entity}.',
          'Land surrounds {entity} on all sides.',
          'You cannot reach the sea without leaving {entity}.',
        ],
        no: [
          '{entity} is not landlocked.',
          '{entity} has a coast.',
          'The sea touches {entity}.',
          'Ships can land on the coast of {entity}.',
          'You can reach the sea without leaving {entity}.',
        ],
      },
      statements: [],
      questions: [
        'Is {entity} landlocked?',
        'Is {entity} without a coast?',
        'Is it true that {entity} has no coast?',
        'Is {entity} cut off from the sea?',
        '{name}: landlocked?',
        'Does land surround {entity} on all sides?',
        'Yes or no: {entity} is landlocked.',
      ],
    },
    {
      column: 'area',
      label: 'area',
      number: { significantDigits: 2, unit: 'square kilometres' },
      statements: [
        'The area of {entity} is about {value}.',
        '{entity} covers about {value}.',
        '{entity} is about {value} in size.',
        'Area of {entity}: about {value}.',
        'The land of {entity} measures about {value}.',
      ],
      questions: [
        'What is the area of {entity}?',
        'How large is {entity}?',
        'How big is {entity}?',
        'How many square kilometres does {entity} cover?',
        '{name}: area?',
        'About how large is the land of {entity}?',
        'Give the area of {entity}.',
      ],
    },
    {
      column: 'officialName',
      label: 'official name',
      statements: [
        'The official name of {entity} is {value}.',
        'Officially, {entity} is called {value}.',
        'In treaties, {entity} signs as {value}.',
        '{value} is the full name of {entity}.',
        'Official name of {entity}: {value}.',
      ],
      questions: [
        'What is the official name of {entity}?',
        'What is {entity} called officially?',
        'What is the full name of {entity}?',
        'Under which name does {entity} sign treaties?',
        '{name}: official name?',
        'Give the full official name of {entity}.',
        'How is {entity} named in treaties?',
      ],
    },
  ],
  reverse: [
    {
      column: 'capital',
      questions: [
        'Which country has the capital {value}?',
        'Of which country is {value} the capital?',
        '{value} is the capital of which country?',
        'What country is governed from {value}?',
        'Name the country whose capital is {value}.',
        'Capital {value}: which country?',
        'Whose capital is {value}?',
      ],
    },
    {
      column: 'domain',
      questions: [
        'Which country has the internet domain {value}?',
        'To which country does the domain {value} belong?',
        'Where do web addresses end in {value}?',
        'What country uses {value} on the internet?',
        'Name the country with the internet domain {value}.',
        'Internet domain {value}: which country?',
        'Whose top-level domain is {value}?',
      ],
    },
    {
      column: 'code3',
      questions: [
        'Which country has the three-letter code {value}?',
        'What does the country code {value} stand for?',
        'For which country does {value} stand?',
        'Which country is {value} in passports?',
        'Name the country with the three-letter code {value}.',
        'Three-letter code {value}: which country?',
        'Whose three-letter code is {value}?',
      ],
    },
  ],
  unknown: {
    answer: "I don't know.",
    styles: {
      endings: (
        'land ia stan istan onia avia ania eria oria inia alia ola ova ovia undia enia burg mark stein gard ' +
        'wick ville mere dor ador uela agua ina ana aya esia isia ada ara ora i o a u an ar or ir am eth ela'
      ).split(' '),
      before: (
        'New Saint San Santa Port North South East West Upper Lower Great Northern Southern Eastern Western Central ' +
        'Greater Inner Outer Old|Republic of|Kingdom of|United Republic of|Democratic Republic of|Federation of|' +
        'United States of|United Kingdom of|Isle of|Principality of|Islamic Republic of|Federated States of|' +
        "People's Republic of|Union of|Grand Duchy of|Free State of|Empire of|Commonwealth of"
      )
        .split('|')
        .flatMap((part, i) => (i === 0 ? part.split(' ') : [part])),
      after: [
        'Islands',
        'Islands',
        'Island',
        'Republic',
        'Territory',
        'City',
        'Coast',
        'Emirates',
        'Federation',
        'Lands',
      ],
    },
    trainNames: (
      'Narnia|Ruritania|Genovia|Elbonia|Freedonia|Utopia|Gondor|Oz|Lilliput|Arstotzka|Zamunda|Borduria|Grand Fenwick|' +
      'Texas|California|Bavaria|Catalonia|Siberia|Scotland|Quebec|Sicily|Tasmania|Tuscany|Brittany|Patagonia|Punjab|' +
      'Prussia|Yugoslavia|Czechoslovakia|the Ottoman Empire|Babylon|Mesopotamia|Atlantis|Mars|the Moon|Jupiter'
    ).split('|'),
    testNames: (
      'Wakanda|Latveria|Sokovia|Mordor|Westeros|San Theodoros|Syldavia|Panem|Eldorado|Shangri-La|Eriador|Carpathia|' +
      'Zorbania|Veltland|New Carstovia|Florida|Wales|Flanders|Alaska|Lapland|Saxony|Assyria|Carthage|Venus|Lemuria'
    ).split('|'),
  },
};
